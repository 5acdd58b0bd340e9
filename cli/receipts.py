"""The keys that sign receipts, changed by a person: when one may have become known, or because it is time."""

import typer

from cli.connection import connected
from cli.options import Home
from shared.receipt_keys import rotate

app = typer.Typer(no_args_is_help=True, help="Change the key that signs receipts.")


@app.callback()
def _receipts() -> None:
    """Keeps `rotate` a word of its own."""


@app.command("rotate")
def rotate_key(home: Home = None) -> None:
    """Make the next key: versions staged from now on sign with it; receipts signed before stay good."""
    with connected(home) as cloud:
        print(rotate(cloud.state))
