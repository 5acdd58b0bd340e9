"""The options that many commands have, said the same way everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option("--home", help="a local installation's folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Model = Annotated[str, typer.Option("--model", "-m", help="the model's name")]
By = Annotated[str | None, typer.Option("--by", help="who says so; the login name if left out")]
Because = Annotated[str, typer.Option("--because", help="why")]
