"""The container's entry point: `python -m training_image`, with the order in the environment."""

import os
import sys

from shared.environment import open_cloud
from shared.errors import BadInput
from training_image.job import read_order, run_job


def main() -> int:
    """The exit status: 0 evaluated, 1 failed and said so, 2 not even an order to fail at."""
    try:
        cloud = open_cloud()
        order = read_order(os.environ, cloud.environment.artefacts_bucket)
    except BadInput as bad:
        sys.stderr.write(f"{bad}\n")
        return 2
    return run_job(order, cloud)


if __name__ == "__main__":
    sys.exit(main())
