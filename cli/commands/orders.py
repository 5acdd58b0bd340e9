"""What people say to an installation, as events: answers, requests, and events once more."""

import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.code_pushed import requests
from cli.connection import connected, ledger_of, person, say
from cli.names import model_named, run_named
from cli.options import AsJson, Because, By, Home
from cli.printing import show_table
from cli.rehearsal import rehearse
from cli.replaying import Wanted, chosen, new_run
from shared.errors import BadInput
from shared.events import ApprovalAnswered, RollbackRequested, TrainingRequested
from shared.ids import RunId, run_parts
from shared.rollouts import last_rollout
from shared.step import publish

app = typer.Typer()


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
        name = model_named(model)
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
        name = model_named(model)
        number = last_rollout(ledger_of(cloud), name)
        if not number:
            raise BadInput("model", [f"{model} has no rollout"])
        event = RollbackRequested(model=name, rollout=number, by=person(by), because=because, set_aside=set_aside)
        print(say(cloud, event).id)


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
    """Publish events again, as the ledger holds them: a run's, a file's, or those of a type or a time.

    What came from outside is made again of the record that it led to: finished evaluations, requests for training and
    for a return, answers, and, where --type evidence-reported asks for it, the evidence of canaries. Of failed jobs,
    of other evidence and of labels the ledger does not hold enough; a file's arrival and a tick are no events of ours.
    """
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
        if not events:
            raise BadInput("replay", ["the ledger or the file holds no event that is meant: nothing was done"])
        if dry_run:
            rehearsed = [each.to_json() for event in events for each in rehearse(cloud, event)]
            show_table(rehearsed, ("topic", "event", "function", "today", "differences"), as_json)
            return
        for event in events:
            publish(cloud, event)
    show_table([{"id": event.id, "topic": event.topic} for event in events], ("topic", "id"), as_json)


def _answer(name: str, answer: Any, by: str | None, because: str, home: Path | None) -> None:
    with connected(home) as cloud:
        run = run_named(name)
        event = ApprovalAnswered(model=run_parts(run)[0], run=run, answer=answer, by=person(by), because=because)
        print(say(cloud, event).id)
