"""What goes on: events, models, traffic, notices."""

import contextlib
import json
import signal
import sys
import uuid
from typing import Annotated, Any, get_args

import typer

from cli import history as traffic
from cli import reading, watching
from cli.connection import connected, ledger_of, person
from cli.names import model_named
from cli.notices import deliveries, table_row, tried
from cli.options import AsJson, Home
from cli.printing import console, show_table
from shared.channels import Severity
from shared.errors import BadInput
from shared.events import CATALOGUE, Notification
from shared.wiring import TOPICS

app = typer.Typer()
_ENDINGS = {signal.SIGINT, signal.SIGTERM}


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
def status(as_json: AsJson = False, home: Home = None) -> None:
    """Say where every model stands."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        found = [reading.status(ledger, name) for name in reading.models(ledger)]
    show_table(found, ("model", "production", "last_run", "state", "waiting_rows"), as_json)


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
        found = traffic.history(ledger_of(cloud), model_named(model))
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
        ledger, name = ledger_of(cloud), model_named(model)
        if once:
            console.print(watching.frame(*watching.look(ledger, name)))
        else:
            with contextlib.suppress(KeyboardInterrupt):
                watching.watch(ledger, name, console, every_seconds)


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
    notice = Notification(model=model_named(model), severity=severity, title=title)
    with connected(home) as cloud:
        found = tried(cloud, notice, seconds)
    if found is None:
        raise BadInput("notices", [f"nobody took the notice up within {seconds:g} s: is `serin up` running?"])
    show_table([table_row(found)], ("at", "severity", "model", "title", "channels"), as_json)
    raise typer.Exit(0 if found.is_told else 1)


def _print_message(message: Any, as_json: bool) -> None:
    if as_json:
        told = {"attributes": dict(message.attributes), "data": message.data.decode(errors="replace")}
        print(json.dumps(told), flush=True)
    else:
        kind = message.attributes.get("ce-type") or message.attributes.get("eventType", "tick")
        print(f"{kind}  {message.data.decode(errors='replace')}", flush=True)
    message.ack()
