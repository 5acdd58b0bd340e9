"""What is dropped into the data bucket, and what became of it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from cli import erasing, reading
from cli.connection import connected, ledger_of, person
from cli.names import model_named
from cli.options import AsJson, Because, By, Home, Model
from cli.printing import console, show_table
from cli.scores import scores
from shared.errors import BadInput
from shared.settings import object_name
from shared.uploading import AGAIN

app = typer.Typer()


@app.command()
def drop(
    files: Annotated[list[Path], typer.Argument(help="files of rows")],
    model: Model,
    settings: Annotated[Path | None, typer.Option(help="the model's settings, dropped first")] = None,
    again: Annotated[bool, typer.Option("--again", help="count the rows although the same file was counted")] = False,
    score: Annotated[bool, typer.Option("--score", help="have the rows scored instead of trained on")] = False,
    by: By = None,
    home: Home = None,
) -> None:
    """Upload files of rows, and a model's settings."""
    about = model_named(model)
    missing = [str(path) for path in [*files, *([settings] if settings else [])] if not path.is_file()]
    if missing:
        raise BadInput("files", [f"there is no file {name}" for name in missing])
    named = [(settings, object_name(about))] if settings else []
    named += [(path, f"{'score' if score else 'data'}/{model}/{path.name}") for path in files]
    with connected(home) as cloud, Progress(console=console) as progress:
        from google.cloud import storage

        bucket = storage.Client(project=cloud.environment.project).bucket(cloud.environment.data_bucket)
        for path, name in named:
            task = progress.add_task(path.name, total=path.stat().st_size or 1)
            blob = bucket.blob(name)
            if again:
                blob.metadata = {AGAIN: person(by)}
            with path.open("rb") as file, progress.wrap_file(file, task_id=task) as body:
                blob.upload_from_file(body, size=path.stat().st_size)
            progress.update(task, completed=path.stat().st_size or 1)


@app.command()
def uploads(model: str, as_json: AsJson = False, home: Home = None) -> None:
    """List every upload of a model with its verdict, its rows, the run they are in, and why."""
    with connected(home) as cloud:
        found = reading.uploads(ledger_of(cloud), cloud.data, model_named(model))
    show_table(found, ("name", "verdict", "rows", "accepted", "quarantined", "run", "reasons"), as_json)


@app.command("scores")
def list_scores(model: str, as_json: AsJson = False, home: Home = None) -> None:
    """List every file that was dropped to be scored: by which version, and where the results are."""
    with connected(home) as cloud:
        found = scores(ledger_of(cloud), model_named(model))
    show_table(found, ("name", "outcome", "version", "rows", "scored", "bad", "results", "reasons"), as_json)


@app.command()
def erase(
    name: Annotated[str, typer.Argument(metavar="OBJECT", help="its name in the data bucket: data/M/file.csv")],
    because: Because,
    by: By = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Erase a file of rows for good, every generation; later trainings go without it (docs/erasure.md)."""
    folder, _, rest = name.partition("/")
    model = model_named(rest.partition("/")[0])
    if folder != "data":
        raise BadInput("object", ["only files of rows are erased: data/<model>/…"])
    with connected(home) as cloud:
        found = erasing.erase(cloud, ledger_of(cloud), model, name, person(by), because)
    show_table([each.to_json() for each in found], ("name", "generation", "runs", "quarantine"), as_json)
