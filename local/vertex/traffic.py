"""The rules of an endpoint's traffic split, by which Vertex AI refuses; pure."""

from collections.abc import Collection, Mapping

from local.errors import CloudError, Status

NEW = "0"  # in a split: the model that is being deployed
_ALL_PERCENT = 100
Split = Mapping[str, int]


def checked(split: Split, deployed: Collection[str]) -> Split:
    """The split itself if it is legal: empty, or percents of deployed models that add up to 100."""
    unknown = sorted(set(split) - set(deployed))
    if unknown:
        raise CloudError(Status.INVALID_ARGUMENT, f"The traffic split names what is not deployed: {unknown}")
    if any(percent not in range(_ALL_PERCENT + 1) for percent in split.values()):
        raise CloudError(Status.INVALID_ARGUMENT, "Each share of the traffic split is between 0 and 100.")
    if split and sum(split.values()) != _ALL_PERCENT:
        raise CloudError(Status.INVALID_ARGUMENT, f"The traffic split adds up to {sum(split.values())}, not to 100.")
    return split


def after_deploy(standing: Split, asked: Split, identity: str) -> Split:
    """The split once a model stands: the one asked for with its id in place of "0", or the old one if none was."""
    if not asked:
        return standing
    return {identity if key == NEW else key: percent for key, percent in asked.items()}


def after_undeploy(standing: Split, asked: Split, identity: str, deployed: Collection[str]) -> Split:
    """The split without one model; FAILED_PRECONDITION while it would leave traffic with nowhere to go."""
    left = set(deployed) - {identity}
    if not left:
        return {}
    if asked:
        return checked({key: percent for key, percent in asked.items() if key != identity or percent}, left)
    if standing.get(identity):
        raise CloudError(Status.FAILED_PRECONDITION, f"The deployed model {identity} still has traffic.")
    return {key: percent for key, percent in standing.items() if key != identity}
