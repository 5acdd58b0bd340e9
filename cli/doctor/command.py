"""`serin doctor`: looks at a project or at a local installation, and prints what is wrong and what mends it."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.text import Text

from cli.connection import DEFAULT_HOME, installation
from cli.doctor.asking import ROUTES, Eyes, Session
from cli.doctor.capacity import images, needs, quotas
from cli.doctor.findings import Finding, Place, examined
from cli.doctor.places import OnGoogle, OnThisMachine, answering
from cli.printing import console, plain
from deploy.__main__ import read_target
from deploy.plan import plan
from deploy.steps import Step
from deploy.table import load
from deploy.target import Target
from shared.environment import loopback, read_environment
from shared.errors import BadInput
from shared.settings import DataSettings, Settings, parse

_SCOPE = "https://www.googleapis.com/auth/cloud-platform.read-only"
_LOOKS_AT_ONCE = 8
_MARKS = {"fine": "✓", "wrong": "✗", "unknown": "?", "not applicable": "–"}
_STYLES = {"fine": "green", "wrong": "red", "unknown": "yellow", "not applicable": "dim"}


def diagnose(arguments: Sequence[str], settings: Path | None, every: bool, as_json: bool, home: Path | None) -> int:
    """Prints what is found, `every` thing or only what is amiss; answers the exit status: 0 only if nothing is."""
    wanted = parse(settings.read_bytes()) if settings else Settings(data=DataSettings(target="label"))
    found = list(_findings(arguments, wanted, home))
    if as_json:
        print(json.dumps([finding.to_json() for finding in found], indent=1))
    else:
        _print(found, every)
    return 0 if all(each.state in ("fine", "not applicable") for each in found) else 1


def _findings(arguments: Sequence[str], settings: Settings, home: Path | None) -> Iterator[Finding]:
    if arguments:
        deploying = shlex.join(["./deploy.sh", *arguments])
        return _on_google(read_target(list(arguments)), deploying, settings)
    if home is None and "SERIN_STATE_BUCKET" in os.environ:
        target = target_of(os.environ)
        return _on_google(target, f"./deploy.sh {target.project} {target.region}", settings)
    return _on_this_machine(home or Path(os.environ.get("SERIN_HOME") or DEFAULT_HOME))


def target_of(variables: Mapping[str, str]) -> Target:
    """The deployment that an environment speaks of."""
    known = read_environment(variables)
    return Target(
        known.project, known.region, training_image=known.training_image, serving_image=known.serving_image,
        buckets=(known.data_bucket, known.state_bucket, known.artefacts_bucket),
    )  # fmt: skip


def _on_google(target: Target, deploying: str, settings: Settings) -> Iterator[Finding]:
    addresses = _addresses(os.environ)
    place = OnGoogle(Eyes(target.project, addresses, _session(addresses)), target.project, target.region, deploying)
    return looked_at(place, target, plan(target, load()), settings)


def looked_at(place: OnGoogle, target: Target, steps: Sequence[Step], settings: Settings) -> Iterator[Finding]:
    """Everything that can be said of a project, in the order of the plan."""
    yield from _examined(steps, place)
    yield from images(place, target)
    yield from quotas(place, needs(settings.training, settings.serving))


def _on_this_machine(home: Path) -> Iterator[Finding]:
    variables, ports = installation(home)
    addresses = {"pubsub": f"http://{variables['PUBSUB_EMULATOR_HOST']}", "storage": variables["STORAGE_EMULATOR_HOST"]}
    target = target_of(variables)
    place = OnThisMachine(Eyes(target.project, addresses, _session(addresses)), target.project, home, variables)
    return looked_at_here(place, ports, plan(target, load()))


def looked_at_here(place: OnThisMachine, ports: Mapping[str, int], steps: Sequence[Step]) -> Iterator[Finding]:
    """Everything that can be said of a local installation."""
    yield from answering(place, ports)
    yield from _examined(steps, place)
    for area in ("images", "quotas"):
        yield Finding(area, f"the {area} of Google Cloud", "not applicable")


def _examined(steps: Sequence[Step], place: Place) -> Iterator[Finding]:
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        yield from pool.map(lambda step: examined(step, place), steps)


def _addresses(variables: Mapping[str, str]) -> dict[str, str]:
    """Each API's address: Google's, or the one that gcloud is told of by the same variable."""
    return {
        service: variables.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}", "").rstrip("/")
        or f"https://{service}.googleapis.com"
        for service in sorted({route.service for route in ROUTES.values()})
    }


def _session(addresses: Mapping[str, str]) -> Session:
    """Requests with the caller's credentials; without any only where every address is on this machine."""
    import requests
    from google.auth import default
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    if all(map(loopback, addresses.values())):
        anonymous: Session = requests.Session()
        return anonymous
    try:
        credentials, _ = default(scopes=[_SCOPE])
    except GoogleAuthError as error:
        raise BadInput("credentials", ["there are none: `gcloud auth application-default login` makes some"]) from error
    authorized: Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return authorized


def _print(found: Sequence[Finding], every: bool) -> None:
    for area in dict.fromkeys(finding.area for finding in found):
        of_area = [finding for finding in found if finding.area == area]
        counts = {state: sum(each.state == state for each in of_area) for state in _MARKS}
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        console.print(f"[bold]{area}[/bold]  {told}", highlight=False)
        for finding in of_area:
            if every or finding.state in ("wrong", "unknown"):
                _print_finding(finding)


def _print_finding(finding: Finding) -> None:
    line = f"{finding.what}: {finding.why}" if finding.why else finding.what
    console.print(Text(f"  {_MARKS[finding.state]} {plain(line)}", style=_STYLES[finding.state]), soft_wrap=True)
    for command in finding.mend:
        console.print(Text(f"      {plain(command)}"), soft_wrap=True)
