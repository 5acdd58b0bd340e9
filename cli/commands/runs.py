"""What is known of runs: their records, their time, their logs, their artefacts, their price."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from cli import costs, reading, tracing
from cli.connection import connected, ledger_of
from cli.downloading import download
from cli.names import model_named, run_named
from cli.options import AsJson, Home
from cli.printing import console, show_table
from shared.artefacts import key_of
from shared.errors import BadInput
from shared.ids import RunId
from shared.ledger import Record, run_key
from shared.prices import list_prices, read_prices
from shared.settings import DataSettings, Settings, parse

app = typer.Typer()
_LOG_LINES = 1000  # of a job of Cloud Run, as many as one answer of Cloud Logging holds


@app.command()
def runs(
    model: Annotated[str | None, typer.Option("--model", "-m", help="only this model's")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List runs."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        names = [model_named(model)] if model else reading.models(ledger)
        found = [asdict(line) for name in names for line in reading.runs(ledger, name)]
    show_table(found, ("run", "rows", "reason", "score", "state", "why"), as_json)


@app.command()
def show(run_name: Annotated[str, typer.Argument(metavar="RUN")], as_json: AsJson = False, home: Home = None) -> None:
    """Tell everything that the ledger holds of a run."""
    with connected(home) as cloud:
        records = reading.timeline(ledger_of(cloud), RunId(run_name))
        if as_json:
            print(json.dumps([_record_json(record) for record in records], indent=1))
            return
        price = costs.after(list_prices(), ledger_of(cloud), RunId(run_name))
    for record in records:
        _print_record(record)
    costs.show_used(list_prices(), price, as_json=False)


@app.command()
def trace(run_name: Annotated[str, typer.Argument(metavar="RUN")], as_json: AsJson = False, home: Home = None) -> None:
    """Draw where a run's time went: functions, job, deployments, and the waiting between them."""
    with connected(home) as cloud:
        found = tracing.bars(ledger_of(cloud), RunId(run_name))
    if as_json:
        print(json.dumps([tracing.to_json(bar) for bar in found], indent=1))
        return
    table = Table("what", "by", f"{found[0].since:%H:%M:%S}", "seconds", box=None) if found else Table(box=None)
    for row in tracing.drawn(found, max(20, console.width - 72)) if found else ():
        table.add_row(*row)
    console.print(table)
    console.print(tracing.summary(found) if found else "nothing of this run tells of its time", highlight=False)


@app.command()
def logs(
    run_name: Annotated[str, typer.Argument(metavar="RUN")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on until the job ends")] = False,
    home: Home = None,
) -> None:
    """Print the log of a run's training job."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        jobs = [
            entry.key for entry in ledger.entries(run_key(run_named(run_name), "job-")) if "/claims/" not in entry.key
        ]
        if not jobs:
            raise BadInput("run", [f"{run_name} has no training job"])
        name = ledger.require(jobs[-1]).data["job"]
        if "/customJobs/" not in name:  # a job of Cloud Run, whose log is Cloud Logging's to tell, here as there
            sys.stdout.write("".join(f"{line}\n" for line in cloud.run_jobs.job_log(name, _LOG_LINES)))
            return
        if cloud.environment.vertex_endpoint is None:
            job = name.rsplit("/", 1)[-1]
            print(f"gcloud ai custom-jobs stream-logs {job} --region {cloud.environment.region}")
            return
        address = f"{cloud.environment.vertex_endpoint}/local/logs/customJobs/{name.rsplit('/', 1)[-1]}"
        offset = 0
        while True:
            ended = cloud.vertex.job(name).ended
            text = httpx.get(address, params={"offset": offset}).text
            offset += len(text.encode())
            sys.stdout.write(text)
            sys.stdout.flush()
            if ended or not follow:
                return


@app.command()
def artefacts(
    run_name: Annotated[str, typer.Argument(metavar="RUN")],
    to: Annotated[Path, typer.Option(help="the folder to put them in")] = Path(),
    home: Home = None,
) -> None:
    """Download what a run's training left: model, signature, golden rows, evaluation."""
    with connected(home) as cloud:
        decision = ledger_of(cloud).find(run_key(run_named(run_name), "decision"))
        if decision is None:
            raise BadInput("run", [f"{run_name} has no artefacts yet"])
        prefix = key_of(cloud.artefacts, decision.data["artefacts"])
        for path in download(cloud.artefacts, prefix, to):
            print(path)


@app.command()
def reproduce(
    run_name: Annotated[str, typer.Argument(metavar="RUN")], as_json: AsJson = False, home: Home = None
) -> None:
    """Train a run again from its record, on this machine, and compare every number; nothing is written."""
    with connected(home):
        # A process of its own: the command knows what images are called, not what is in them.
        command = [
            sys.executable,
            "-m",
            "training_image.reproduce",
            run_named(run_name),
            *(["--json"] if as_json else []),
        ]
        raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def cost(
    run_name: Annotated[str | None, typer.Argument(metavar="[RUN]", help="what this run cost so far")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="with this model's machines")] = None,
    settings: Annotated[Path | None, typer.Option(help="with the machines of this settings file")] = None,
    prices: Annotated[Path | None, typer.Option(help="a table of prices instead of shared/prices.toml")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Say what a run, an idle month, predictions and a canary cost on each backend, or what a run cost so far."""
    table = read_prices(prices.read_bytes()) if prices else list_prices()
    if run_name is not None:
        with connected(home) as cloud:
            costs.show_used(table, costs.after(table, ledger_of(cloud), run_named(run_name)), as_json)
        return
    wanted = parse(settings.read_bytes()) if settings else Settings(data=DataSettings(target="label"))
    if model is not None:
        with connected(home) as cloud:
            wanted = costs.newest_settings(ledger_of(cloud), model_named(model))
    costs.show(table, wanted, as_json)


def _print_record(record: Record) -> None:
    console.print(
        f"[dim]{record.at:%H:%M:%S}[/dim]  [cyan]{tracing.name_of(record):28}[/cyan] {record.by}", highlight=False
    )
    for reason in _reasons(record):
        console.print(f"{'':12}{reason}", highlight=False, markup=False)
    for event in record.events:
        console.print(f"{'':12}[dim]→ {event.topic}[/dim]", highlight=False)


def _reasons(record: Record) -> list[str]:
    """What a record says for itself, then every reason that its events give, each once."""
    told = [str(record.data[key]) for key in ("verdict", "because", "job") if isinstance(record.data.get(key), str)]
    told += record.data.get("reasons") or []
    for event in record.events:
        told += [*getattr(event.payload, "reasons", ()), *getattr(event.payload, "why", ())]
    return list(dict.fromkeys(told))


def _record_json(record: Record) -> dict[str, Any]:
    events = [event.to_json() for event in record.events]
    return {"key": record.key, "at": record.at.isoformat(), "by": record.by, "data": record.data, "events": events}
