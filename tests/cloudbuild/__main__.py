"""`python -m tests.cloudbuild`: the build configurations against the schema that Google publishes."""

import sys
from pathlib import Path

from tests.cloudbuild.configurations import faults

ROOT = Path(__file__).parents[2]


def main() -> int:
    """The exit status: 0 if nothing is wrong."""
    found = [
        f"{path.name}: {fault}" for path in sorted(ROOT.glob("cloudbuild*.yaml")) for fault in faults(path.read_text())
    ]
    sys.stderr.write("".join(f"{fault}\n" for fault in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
