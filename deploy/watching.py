"""What tells people how Serin does: metrics made from its log lines, alert policies and a dashboard."""

import json
from collections.abc import Iterator
from typing import Any

from deploy import alerts, dashboard, metrics
from deploy.steps import Look, Step, field, listed
from deploy.target import Target


def watching(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """The metrics first: alert policies and the dashboard are about them."""
    for metric in table["metrics"]:
        yield _metric(metric)
    for name in alerts.policies(target, table):
        yield _alert(name, alerts.config(target, table, name))
    yield _dashboard(dashboard.config(table))


def _metric(metric: dict[str, Any]) -> Step:
    group, name = ("logging", "metrics"), metric["name"]
    made = json.loads(metrics.config(metric))
    return Step(
        f"metric {name}",
        ((*group, "create", name, f"--config-from-file={{metric:{name}}}"),),
        Look(
            (*group, "describe", name, "--format=json"),
            field("description", made["description"]),
            among=(*group, "list", "--format=json(name,description)"),
        ),
        ((*group, "delete", name),),
        renewed=True,
        together="metrics",
    )


def _alert(name: str, made: dict[str, Any]) -> Step:
    group = ("alpha", "monitoring", "policies")
    return Step(
        f"alert policy {name}",
        ((*group, "create", f"--policy-from-file={{alert:{name}}}"),),
        Look((*group, "list", "--format=json(name,userLabels)"), listed("userLabels", made["userLabels"])),
        ((*group, "delete", f"{{policy:{name}}}"),),
        renewed=True,
        together="alert policies",
    )


def _dashboard(made: dict[str, Any]) -> Step:
    group = ("monitoring", "dashboards")
    return Step(
        "the dashboard",
        ((*group, "create", "--config-from-file={dashboard:serin}"),),
        Look((*group, "list", "--format=json(name,labels)"), listed("labels", made["labels"])),
        ((*group, "delete", "{panel:serin}"),),
        renewed=True,
    )
