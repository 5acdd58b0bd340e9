"""The command behind deploy.sh."""

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.custom_roles import LEFT
from deploy.filling import Filling
from deploy.gcloud import InstalledGcloud
from deploy.plan import plan
from deploy.remains import Remains, listings, remains
from deploy.runner import Report, Runner
from deploy.steps import Command, Step, removable
from deploy.table import load
from deploy.target import Target

# Together ten minutes: as long as Google says that a permission or a new metric may take to be known everywhere.
_WAITS_SECONDS = (5, 10, 20, 40, 60, 60, 60, 60, 60, 60, 60, 60, 45)
# Functions are built by Cloud Build, where a new project may run ten builds at once.
_AT_ONCE = 6
_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_SECRET = re.compile(r"[A-Za-z0-9_-]+:(?:latest|[0-9]+)")


def main(arguments: list[str]) -> int:
    """0: as wanted; 1: something failed, and what it was is said; 2: a wrong command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    target = _target(options)
    table = load()
    steps = tuple(step for step in plan(target, table) if options.only in step.title)
    if not steps:
        parser.error(f"no step's title contains {options.only!r}: --dry-run prints them all")
    if options.dry_run:
        return _shown(steps, target if options.destroy else None)
    gcloud = InstalledGcloud(target.project, options.transcript)
    if options.destroy:
        left = remains(gcloud, target)
        steps = tuple(step for step in plan(target, table, left.steps) if options.only in step.title)
        _tell_remains(left)
        if not options.yes and not _agreed(target):
            return 1
    with tempfile.TemporaryDirectory(prefix="serin-") as folder:
        filling = Filling(gcloud, target, table, Path(folder))
        runner = Runner(gcloud, filling, _WAITS_SECONDS, time.sleep, _say, options.at_once)
        report = runner.destroy(steps) if options.destroy else runner.deploy(steps)
    if options.destroy and not report.failure:
        print(LEFT)
    return _tell(report, arguments)


def read_target(arguments: list[str]) -> Target:
    """Where a command line of deploy.sh deploys; a wrong one ends the program, as it ends deploy.sh."""
    return _target(_parser().parse_args(arguments))


def _target(options: argparse.Namespace) -> Target:
    return Target(
        options.project,
        options.region,
        options.key,
        options.notify_secret,
        options.channels_secret,
        options.training_image,
        options.serving_image,
        base_image=options.base_image,
        alert_channels=tuple(options.alert_channel),
        binary_authorization=options.binary_authorization,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "deploy.sh", description="Puts Serin on Google Cloud; run again, it changes nothing."
    )
    add = parser.add_argument
    add("project", metavar="PROJECT", type=_like(_PROJECT, "a project's id"))
    add("region", metavar="REGION", type=_like(_REGION, "a region"))
    add("--dry-run", action="store_true", help="print the plan; needs neither gcloud nor network")
    add("--destroy", action="store_true", help="take everything down, with all data, after asking")
    add("--yes", action="store_true", help="do not ask before --destroy")
    add("--only", default="", metavar="TEXT", help="only the steps whose title contains this")
    add(
        "--key",
        default="",
        metavar="KEY",
        type=_like(_KEY, "projects/…/locations/…/keyRings/…/cryptoKeys/…"),
        help="a customer-managed key for the buckets: projects/…/cryptoKeys/…",
    )
    add(
        "--notify-secret",
        default="",
        metavar="NAME:VERSION",
        type=_like(_SECRET, "NAME:VERSION"),
        help="the secret with SERIN_NOTIFY_URLS",
    )
    add(
        "--channels-secret",
        default="",
        metavar="NAME:VERSION",
        type=_like(_SECRET, "NAME:VERSION"),
        help="the secret with SERIN_NOTIFY_CHANNELS",
    )
    add("--alert-channel", action="append", default=[], metavar="CHANNEL", help="who hears alerts; may be repeated")
    add("--base-image", default="python:3.11-slim", metavar="IMAGE", help="what both images are built on")
    add("--training-image", default="", metavar="IMAGE@DIGEST", type=_by_digest, help="used instead of building one")
    add("--serving-image", default="", metavar="IMAGE@DIGEST", type=_by_digest, help="used instead of building one")
    add("--binary-authorization", action="store_true", help="functions run only what the project's policy admits")
    add(
        "--at-once",
        type=int,
        default=_AT_ONCE,
        metavar="N",
        help="steps carried out at the same time, of those that need not wait for each other",
    )
    add("--transcript", type=Path, metavar="FILE", help="write every command and gcloud's answer to a file")
    return parser


def _by_digest(image: str) -> str:
    """Vertex AI enforces no Binary Authorization, so that an image is what was checked is held here."""
    if image and not _DIGEST.fullmatch(image):
        raise argparse.ArgumentTypeError(f"{image} does not name a digest: IMAGE@sha256:…")
    return image


def _like(pattern: re.Pattern[str], wanted: str) -> Callable[[str], str]:
    """What takes an argument of this form and refuses any other, before anything is made."""

    def taken(given: str) -> str:
        if given and not pattern.fullmatch(given):
            raise argparse.ArgumentTypeError(f"{given!r} is not {wanted}")
        return given

    return taken


def _say(text: str) -> None:
    print(text, flush=True)


def _shown(steps: tuple[Step, ...], destroyed: Target | None) -> int:
    try:
        _show(steps, destroyed)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _show(steps: tuple[Step, ...], destroyed: Target | None) -> None:
    for listing in listings(destroyed) if destroyed else ():
        print(f"# What functions made is removed too. It is found by: gcloud {shlex.join(listing)}")
    if not destroyed:
        print("# Run again, only what is missing is made. What stands in braces is filled in when it is known.")
    lines = [line for step in (removable(steps) if destroyed else steps) for line in _lines(step, bool(destroyed))]
    print("\n".join(lines or ["# nothing to do for what --only names"]))
    if destroyed:
        print(f"# {LEFT}")


def _lines(step: Step, destroyed: bool) -> Iterator[str]:
    """A step as people read it; what depends on what is found is a comment, as the title is."""
    yield f"# {step.title}"
    if destroyed and step.remove:
        yield from map(_typed, step.remove)
        return
    yield from map(_typed, step.make)
    differs = "if it is there and differs" if step.make else "if there is any"
    yield from (f"#   {differs}: {_typed(command)}" for command in step.may)
    yield from (f"#   {differs}, first: {_typed(command)}" for command in (step.remove if step.renewed else ()))
    if step.frozen:
        yield f"#   {differs}: {step.frozen}"


def _typed(command: Command) -> str:
    return f"gcloud {shlex.join(command)}"


def _tell_remains(left: Remains) -> None:
    for step in left.steps:
        print(f"made by functions, and removed with them: {step.title}")
    for each in left.unseen:
        print(f"could not be looked at; see that nothing of Serin's is left there: {each}")


def _agreed(target: Target) -> bool:
    print(f"This removes Serin from {target.project} with all its data, models and history. It cannot be undone.")
    try:
        return input(f"Type {target.project} to go on: ") == target.project
    except EOFError:
        return False


def _tell(report: Report, arguments: list[str]) -> int:
    print(f"done: {len(report.made)}; nothing to do: {len(report.there)}; not done: {len(report.left)}")
    if not report.failure:
        return 0
    print(f"\n{report.failure}\n\nnot done:", file=sys.stderr)
    for title in report.left:
        print(f"  {title}", file=sys.stderr)
    again = shlex.join(["./deploy.sh", *arguments])
    print(f"\nMend what is named and go on with: {again}\nWhat is done already is left as it is.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
