"""`python -m cli` is the `serin` command."""

from cli.main import run

run()
