"""Everything that Serin is on Google Cloud, in the order in which it can be made, from the one wiring table."""

from typing import Any

from deploy.custom_roles import custom_roles, cut_roles, superseded
from deploy.foundation import accounts, buckets, clock, notification, repository, services, topics
from deploy.functions import functions, subscriptions
from deploy.images import images
from deploy.roles import roles
from deploy.steps import Step
from deploy.target import Target
from deploy.watching import watching


def plan(target: Target, table: dict[str, Any], remains: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Every step, each before those that need it; what functions made is removed once they are gone."""
    return (
        *services(target),
        *accounts(target, table),
        *buckets(target),
        *topics(table),
        *notification(target, table),
        *repository(target),
        *custom_roles(target, table),
        *roles(target, table),
        *images(target),
        *remains,
        *functions(target, table),
        *subscriptions(target, table),
        clock(target, table),
        *watching(target, table),
        *cut_roles(target, table),
        *superseded(target, table),
    )
