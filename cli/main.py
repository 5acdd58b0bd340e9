"""The `serin` command."""

import sys

import typer

from cli import dead_letters, receipts
from cli.commands import activity, data, installation, orders, runs
from shared.errors import BadInput, SerinError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Continuous delivery for machine-learning models.")
for _commands in (installation, data, runs, orders, activity):
    app.add_typer(_commands.app)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(receipts.app, name="receipts")


def run() -> None:
    """Runs the command; a refusal is one line with every reason on stderr, and exit status 1."""
    try:
        app()
    except SerinError as error:
        reasons = error.reasons if isinstance(error, BadInput) else (str(error),)
        sys.stderr.write(f"serin: {'; '.join(reasons)}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
