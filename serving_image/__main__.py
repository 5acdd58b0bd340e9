"""The container's entry point: reads the environment, serves, and reports the last interval before it ends."""

import os
import sys
from collections.abc import Mapping

import uvloop

from serving_image import loading
from serving_image.account import Interval
from serving_image.artefacts import cloud_of, fetch
from serving_image.configuration import Configuration, Identity, read_configuration
from serving_image.reporter import Publish, Reporter
from serving_image.server import serve
from serving_image.service import Loaded
from shared.errors import SerinError


def main(variables: Mapping[str, str]) -> int:
    """Serves until it is told to stop; exit status 0 when nothing was lost by that."""
    try:
        configuration = read_configuration(variables)
        return _served(configuration, variables)
    except SerinError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _served(configuration: Configuration, variables: Mapping[str, str]) -> int:
    identity = configuration.identity
    reporter = Reporter(lambda: _publisher(identity, variables)) if identity else None

    def load() -> Loaded:
        return loading.load(configuration, fetch(configuration, variables), reporter.add if reporter else _nobody)

    served = uvloop.run(serve(configuration, load, reporter.start if reporter else lambda: None))
    if reporter is None or served is None:
        return 0
    served.account.turn()
    lost = reporter.stop()
    if lost:
        sys.stderr.write(f"{lost} intervals of evidence could not be published\n")
    return 1 if lost else 0


def _publisher(identity: Identity, variables: Mapping[str, str]) -> Publish:
    # Here, because it runs once requests are answered, and the imports are most of a start.
    from serving_image.reports import publisher

    return publisher(identity, cloud_of(variables))


def _nobody(_: Interval) -> None:
    """Takes evidence where nobody collects it."""


if __name__ == "__main__":
    sys.exit(main(os.environ))
