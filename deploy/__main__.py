"""The command behind deploy.sh."""

import argparse
import shlex
import sys
import time

from deploy.gcloud import InstalledGcloud
from deploy.plan import Target, plan
from deploy.runner import Report, Runner
from deploy.steps import Step
from deploy.table import load

# Together seven minutes: as long as Google says that a permission may take to be known everywhere.
_WAITS_SECONDS = (5, 10, 20, 40, 60, 60, 60, 60, 60, 45)


def main(arguments: list[str]) -> int:
    """0: as wanted; 1: something failed, and what it was is said; 2: a wrong command line."""
    options = _parser().parse_args(arguments)
    target = _target(options)
    table = load()
    steps = plan(target, table)
    if options.dry_run:
        _show(steps, options.destroy)
        return 0
    if options.destroy and not options.yes and not _agreed(target):
        return 1
    runner = Runner(InstalledGcloud(target.project), target, _WAITS_SECONDS, time.sleep, print)
    runner.metrics = {metric["name"]: metric for metric in table["metrics"]}
    return _tell(runner.destroy(steps) if options.destroy else runner.deploy(steps), arguments)


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
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "deploy.sh", description="Puts Serin on Google Cloud; run again, it changes nothing."
    )
    parser.add_argument("project", metavar="PROJECT")
    parser.add_argument("region", metavar="REGION")
    parser.add_argument("--dry-run", action="store_true", help="print the plan; needs neither gcloud nor network")
    parser.add_argument("--destroy", action="store_true", help="take everything down, with all data, after asking")
    parser.add_argument("--yes", action="store_true", help="do not ask before --destroy")
    parser.add_argument("--key", default="", help="a customer-managed key for the buckets")
    parser.add_argument("--notify-secret", default="", metavar="NAME:VERSION", help="the secret with SERIN_NOTIFY_URLS")
    parser.add_argument(
        "--channels-secret", default="", metavar="NAME:VERSION", help="the secret with SERIN_NOTIFY_CHANNELS"
    )
    parser.add_argument("--training-image", default="", metavar="IMAGE@DIGEST")
    parser.add_argument("--serving-image", default="", metavar="IMAGE@DIGEST")
    return parser


def _show(steps: tuple[Step, ...], destroy: bool) -> None:
    for step in reversed(steps) if destroy else steps:
        commands = step.remove if destroy else step.make
        if commands:
            print(f"# {step.title}")
        for command in commands:
            print(f"gcloud {shlex.join(command)}")


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
