"""The `serin` command."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, get_args

import httpx
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli import costs, dead_letters, erasing, reading, receipts, tracing, watching
from cli import history as traffic
from cli.code_pushed import requests
from cli.connection import DEFAULT_HOME, borrowing, connected, ledger_of, person, say
from cli.downloading import download
from cli.notices import deliveries, table_row, tried
from cli.options import AsJson, Because, By, Home, Model
from cli.printing import console, show_table
from cli.rehearsal import rehearse
from cli.replaying import Wanted, chosen, new_run
from cli.scores import scores
from shared.artefacts import key_of
from shared.channels import Severity
from shared.errors import BadInput, SerinError
from shared.events import CATALOGUE, ApprovalAnswered, Notification, RollbackRequested, TrainingRequested
from shared.ids import MODEL_NAME, ModelName, RunId, run_parts
from shared.ledger import Record, run_key
from shared.prices import list_prices, read_prices
from shared.rollouts import last_rollout
from shared.settings import DataSettings, Settings, object_name, parse
from shared.step import publish
from shared.uploading import AGAIN
from shared.wiring import TOPICS

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Continuous delivery for machine-learning models.")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(receipts.app, name="receipts")
_LOG_LINES = 1000  # of a job of Cloud Run, as many as one answer of Cloud Logging holds
_ENDINGS = {signal.SIGINT, signal.SIGTERM}
Pubsub = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="a running Pub/Sub, such as Google's emulator")]
Storage = Annotated[str | None, typer.Option(metavar="URL", help="a running Cloud Storage that sends no notifications")]


def run() -> None:
    """Runs the command; a refusal is one line with every reason on stderr, and exit status 1."""
    try:
        app()
    except SerinError as error:
        reasons = error.reasons if isinstance(error, BadInput) else (str(error),)
        sys.stderr.write(f"serin: {'; '.join(reasons)}\n")
        raise SystemExit(1) from None


@app.command()
def up(
    home: Annotated[Path, typer.Option(help="where everything is kept")] = DEFAULT_HOME,
    tick_seconds: Annotated[float, typer.Option(help="how often the clock ticks")] = 5.0,
    pubsub: Pubsub = None,
    storage: Storage = None,
    trainer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="run this folder's main.py as the image of that name"),
    ] = None,
) -> None:
    """Run the local cloud and every function, until Ctrl-C."""
    command = [sys.executable, "-m", "local", "--home", str(home), "--tick-seconds", str(tick_seconds)]
    command += [*borrowing(pubsub, storage), *(f"--trainer={one}" for one in trainer or ())]
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        raise typer.Exit(process.wait())


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
    _check_model(model)
    missing = [str(path) for path in [*files, *([settings] if settings else [])] if not path.is_file()]
    if missing:
        raise BadInput("files", [f"there is no file {name}" for name in missing])
    named = [(settings, object_name(ModelName(model)))] if settings else []
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
def tail(
    topics: Annotated[list[str] | None, typer.Argument(help="topics; all of ours if none is named")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Print events as they come, until Ctrl-C."""
    wanted = topics or [event.topic for event in CATALOGUE]
    if unknown := sorted(set(wanted) - set(TOPICS)):
        raise BadInput("topics", [f"there is no topic {name}" for name in unknown])
    # Blocked before there are other threads, so that none of them is ended by what this one waits for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    with connected(home) as cloud:
        from google.cloud import pubsub_v1

        project, mine = cloud.environment.project, uuid.uuid4().hex[:8]
        names = {topic: f"projects/{project}/subscriptions/tail.{mine}.{topic}" for topic in wanted}
        with pubsub_v1.SubscriberClient() as client:
            try:
                pulls = []
                for topic, name in names.items():
                    client.create_subscription(name=name, topic=f"projects/{project}/topics/{topic}")
                    pulls.append(client.subscribe(name, lambda message: _print_message(message, as_json)))
                sys.stderr.write(f"listening on {', '.join(wanted)}; Ctrl-C ends\n")
                sys.stderr.flush()
                signal.sigwait(_ENDINGS)
                for pull in pulls:
                    pull.cancel()
                    pull.result()
            finally:
                for name in names.values():
                    client.delete_subscription(subscription=name)


@app.command()
def uploads(model: str, as_json: AsJson = False, home: Home = None) -> None:
    """List every upload of a model with its verdict, its rows, the run they are in, and why."""
    with connected(home) as cloud:
        found = reading.uploads(ledger_of(cloud), cloud.data, ModelName(_check_model(model)))
    show_table(found, ("name", "verdict", "rows", "accepted", "quarantined", "run", "reasons"), as_json)


@app.command("scores")
def list_scores(model: str, as_json: AsJson = False, home: Home = None) -> None:
    """List every file that was dropped to be scored: by which version, and where the results are."""
    with connected(home) as cloud:
        found = scores(ledger_of(cloud), ModelName(_check_model(model)))
    show_table(found, ("name", "outcome", "version", "rows", "scored", "bad", "results", "reasons"), as_json)


@app.command()
def runs(
    model: Annotated[str | None, typer.Option("--model", "-m", help="only this model's")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List runs."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        names = [ModelName(_check_model(model))] if model else reading.models(ledger)
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
        jobs = [entry.key for entry in ledger.entries(run_key(_run(run_name), "job-")) if "/claims/" not in entry.key]
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
        decision = ledger_of(cloud).find(run_key(_run(run_name), "decision"))
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
        command = [sys.executable, "-m", "training_image.reproduce", _run(run_name), *(["--json"] if as_json else [])]
        raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def approve(
    run_name: Annotated[str, typer.Argument(metavar="RUN")], because: Because, by: By = None, home: Home = None
) -> None:
    """Say yes to a run that asks."""
    _answer(run_name, "approve", by, because, home)


@app.command()
def reject(
    run_name: Annotated[str, typer.Argument(metavar="RUN")], because: Because, by: By = None, home: Home = None
) -> None:
    """Say no to a run that asks."""
    _answer(run_name, "reject", by, because, home)


@app.command()
def train(model: str, because: Because = "asked for", by: By = None, home: Home = None) -> None:
    """Train on the rows that wait, however few they are."""
    request = uuid.uuid4().hex
    with connected(home) as cloud:
        name = ModelName(_check_model(model))
        event = TrainingRequested(model=name, reason="person", request=request, by=person(by), because=because)
        print(say(cloud, event).id)


@app.command()
def code_pushed(commit: Annotated[str, typer.Option(help="the commit that was deployed")], home: Home = None) -> None:
    """Train every model whose settings have `retrain_on_code`; a delivery's last step."""
    with connected(home) as cloud:
        for event in requests(ledger_of(cloud), cloud, commit):
            print(say(cloud, event, f"code/{event.model}/{commit}").id)


@app.command()
def rollback(
    model: str,
    because: Because = "asked for",
    by: By = None,
    set_aside: Annotated[bool, typer.Option("--set-aside", help="train no more on the run's rows")] = False,
    home: Home = None,
) -> None:
    """Go back to the version before the newest rollout's."""
    with connected(home) as cloud:
        name = ModelName(_check_model(model))
        number = last_rollout(ledger_of(cloud), name)
        if not number:
            raise BadInput("model", [f"{model} has no rollout"])
        event = RollbackRequested(model=name, rollout=number, by=person(by), because=because, set_aside=set_aside)
        print(say(cloud, event).id)


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
    model = ModelName(_check_model(rest.partition("/")[0]))
    if folder != "data":
        raise BadInput("object", ["only files of rows are erased: data/<model>/…"])
    with connected(home) as cloud:
        found = erasing.erase(cloud, ledger_of(cloud), model, name, person(by), because)
    show_table([each.to_json() for each in found], ("name", "generation", "runs", "quarantine"), as_json)


@app.command()
def history(
    model: str,
    at: Annotated[str | None, typer.Option("--at", help="only what served at this time, ISO 8601")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Say which version served which share of a model's traffic when, why, and who said so."""
    moment = traffic.moment_of(at) if at else None
    with connected(home) as cloud:
        found = traffic.history(ledger_of(cloud), ModelName(_check_model(model)))
    rows = [each.to_json() for each in (traffic.at(found, moment) if moment else found)]
    show_table(rows, ("since", "split", "rollout", "by", "why"), as_json)


@app.command()
def watch(
    model: str,
    once: Annotated[bool, typer.Option("--once", help="show it once and end")] = False,
    every_seconds: Annotated[float, typer.Option(min=0.1, help="how often to look")] = 1.0,
    home: Home = None,
) -> None:
    """Show a model's canary live: its share, the evidence of both arms, each e-value against its bound."""
    with connected(home) as cloud:
        ledger, name = ledger_of(cloud), ModelName(_check_model(model))
        if once:
            console.print(watching.frame(*watching.look(ledger, name)))
        else:
            with contextlib.suppress(KeyboardInterrupt):
                watching.watch(ledger, name, console, every_seconds)


@app.command()
def replay(
    run_name: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    file: Annotated[Path | None, typer.Option(help="events as JSON lines instead of the ledger's")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="only this model's")] = None,
    kind: Annotated[str | None, typer.Option("--type", metavar="TOPIC", help="only events of this topic")] = None,
    since: Annotated[str | None, typer.Option(help="only events said at this time or later, ISO 8601")] = None,
    until: Annotated[str | None, typer.Option(help="only events said before this time, ISO 8601")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what each function would do with them today")] = False,
    as_new: Annotated[bool, typer.Option("--as-new", help="make a test run of RUN, which is never deployed")] = False,
    by: By = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Publish events again, exactly as the ledger holds them: a run's, a file's, or those of a type or a time."""
    wanted = Wanted(run_name, file, model, kind, since, until)
    if (run_name and file) or not (run_name or wanted.narrowed):
        raise typer.BadParameter("name a run, or a file, or a model, a type or a time")
    if as_new and (dry_run or run_name is None or wanted.narrowed):
        raise typer.BadParameter("--as-new makes a test run of a whole run, and takes nothing else")
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        if as_new:
            print(new_run(cloud, RunId(run_name or ""), person(by)))
            return
        events = chosen(ledger, wanted)
        if dry_run:
            rehearsed = [each.to_json() for event in events for each in rehearse(cloud, event)]
            show_table(rehearsed, ("topic", "event", "function", "today", "differences"), as_json)
            return
        for event in events:
            publish(cloud, event)
    show_table([{"id": event.id, "topic": event.topic} for event in events], ("topic", "id"), as_json)


@app.command()
def status(as_json: AsJson = False, home: Home = None) -> None:
    """Say where every model stands."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        found = [reading.status(ledger, name) for name in reading.models(ledger)]
    show_table(found, ("model", "production", "last_run", "state", "waiting_rows"), as_json)


@app.command()
def notices(
    model: Annotated[str | None, typer.Option("--model", "-m", help="only this model's")] = None,
    last: Annotated[int, typer.Option(min=1, help="how many, the newest")] = 50,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List what people were told, and which channel took it."""
    with connected(home) as cloud:
        found = [table_row(each) for each in deliveries(ledger_of(cloud), last, model)]
    show_table(found, ("at", "severity", "model", "title", "channels"), as_json)


@app.command()
def notify(
    test: Annotated[bool, typer.Option("--test", help="send a notice that says it is a test")] = False,
    model: Annotated[str, typer.Option("--model", "-m", help="as if about this model")] = "unknown",
    severity: Annotated[str, typer.Option(help="info, warning or error")] = "info",
    seconds: Annotated[float, typer.Option(help="how long to wait for the channels")] = 30.0,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Try the channels: send a test notice through the installation, and say which channel took it."""
    if not test:
        raise typer.BadParameter("only --test is known")
    if severity not in get_args(Severity):
        raise typer.BadParameter(f"severity is one of {', '.join(get_args(Severity))}")
    title = f"a test, sent by {person(None)}: nothing has happened"
    notice = Notification(model=ModelName(_check_model(model)), severity=severity, title=title)
    with connected(home) as cloud:
        found = tried(cloud, notice, seconds)
    if found is None:
        raise BadInput("notices", [f"nobody took the notice up within {seconds:g} s: is `serin up` running?"])
    show_table([table_row(found)], ("at", "severity", "model", "title", "channels"), as_json)
    raise typer.Exit(0 if found.is_told else 1)


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
            costs.show_used(table, costs.after(table, ledger_of(cloud), _run(run_name)), as_json)
        return
    wanted = parse(settings.read_bytes()) if settings else Settings(data=DataSettings(target="label"))
    if model is not None:
        with connected(home) as cloud:
            wanted = costs.newest_settings(ledger_of(cloud), _check_model(model))
    costs.show(table, wanted, as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(
    context: typer.Context,
    settings: Annotated[Path | None, typer.Option(help="a model's settings, for the quotas that it needs")] = None,
    every: Annotated[bool, typer.Option("--all", help="print what is fine, too")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check a deployment before its first run, and name what mends it: PROJECT REGION and options as for deploy.sh.

    Without them, what the environment names is checked, or else a local installation.
    """
    from cli.doctor.command import diagnose

    raise typer.Exit(diagnose(context.args, settings, every, as_json, home))


@app.command(hidden=True)
def demo(
    home: Annotated[Path, typer.Option(help="where everything is kept")] = Path("build/demo"),
    seed: Annotated[int, typer.Option(help="how the data is cut")] = 1,
    patience: Annotated[float, typer.Option(help="how many times longer an act may take: for a busy machine")] = 1.0,
    pubsub: Pubsub = None,
    storage: Storage = None,
    cloud_run: Annotated[bool, typer.Option("--cloud-run", help="train and serve on Cloud Run")] = False,
) -> None:
    """Play the demo."""
    from cli.demo.cloud import LocalCloud
    from cli.demo.play import ACTS, ends_when_told, play

    ends_when_told()
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150"))
    local = LocalCloud(home, borrowing(pubsub, storage))
    raise typer.Exit(play(local, seed, ACTS, Console(width=width), patience, "cloud_run" if cloud_run else "vertex"))


def _check_model(name: str) -> str:
    if MODEL_NAME.fullmatch(name) is None:
        raise BadInput("model", [f"{name!r} is no model's name: a-z, 0-9 and -, a letter first, at most 40"])
    return name


def _run(name: str) -> RunId:
    try:
        run_parts(RunId(name))
    except ValueError as error:
        raise BadInput("run", [str(error)]) from error
    return RunId(name)


def _answer(name: str, answer: Any, by: str | None, because: str, home: Path | None) -> None:
    with connected(home) as cloud:
        run = _run(name)
        event = ApprovalAnswered(model=run_parts(run)[0], run=run, answer=answer, by=person(by), because=because)
        print(say(cloud, event).id)


def _print_message(message: Any, as_json: bool) -> None:
    if as_json:
        told = {"attributes": dict(message.attributes), "data": message.data.decode(errors="replace")}
        print(json.dumps(told), flush=True)
    else:
        kind = message.attributes.get("ce-type") or message.attributes.get("eventType", "tick")
        print(f"{kind}  {message.data.decode(errors='replace')}", flush=True)
    message.ack()


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


if __name__ == "__main__":
    run()
