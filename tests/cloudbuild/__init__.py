"""Checks of the build configurations; `make check` runs `python -m tests.cloudbuild`."""
