"""What is wrong with a build configuration: by Google's own Build message, and by what only a build would tell.

The message is the API's own definition (google.devtools.cloudbuild.v1.Build, as of google-cloud-build in
requirements.txt); it knows every field and every value, but neither which steps there are nor which substitutions.
"""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml
from google.cloud.devtools import cloudbuild_v1
from google.protobuf import json_format

# https://docs.cloud.google.com/build/docs/configuring-builds/substitute-variable-values, read on 2026-11-21
_BUILT_IN = frozenset(
    {"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "COMMIT_SHA", "SHORT_SHA", "BRANCH_NAME", "TAG_NAME"}
)
_USED = re.compile(r"\$\{?(_[A-Z0-9_]+)\b")
_BUILD_ONLY = re.compile(r"\$\{?([A-Z][A-Z0-9_]*)\b")


def faults(text: str) -> list[str]:
    """Everything that is wrong with the configuration."""
    try:
        build = yaml.safe_load(text)
        json_format.ParseDict(build, cloudbuild_v1.Build.pb()())
    except (yaml.YAMLError, json_format.ParseError) as error:
        return [str(error)]
    return [*_of_steps(build["steps"]), *_of_substitutions(build, text), *_of_logging(build)]


def _of_steps(steps: list[dict[str, Any]]) -> Iterator[str]:
    known: set[str] = set()
    for step in steps:
        name = step.get("id", "")
        unknown = set(step.get("waitFor", ())) - known - {"-"}
        if unknown:
            yield f"step {name} waits for {', '.join(sorted(unknown))}, which does not come before it"
        if not name or name in known:
            yield f"a step has no id of its own: {name!r}"
        known.add(name)
        yield from _of_script(name, step.get("script", ""))


def _of_script(name: str, script: str) -> Iterator[str]:
    if script and not script.startswith("#!/usr/bin/env bash\nset -euo pipefail\n"):
        yield f"step {name} goes on after a failure"
    told = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False).stderr
    if told:
        yield f"step {name}: {told.strip()}"


def _of_substitutions(build: dict[str, Any], text: str) -> Iterator[str]:
    declared = set(build.get("substitutions", {}))
    used = set(_USED.findall(text))
    for name in sorted(used - declared):
        yield f"${name} is not declared"
    for name in sorted(declared - used):
        yield f"{name} is used nowhere"
    for step in build["steps"]:
        local = set(re.findall(r"\b([A-Z][A-Z0-9_]*)=", step.get("script", "")))
        for name in sorted(set(_BUILD_ONLY.findall(step.get("script", ""))) - _BUILT_IN - local):
            yield f"${name} is no substitution of Cloud Build"


def _of_logging(build: dict[str, Any]) -> Iterator[str]:
    # With a service account of one's own a build without this is refused before its first step.
    if build.get("options", {}).get("logging") not in ("CLOUD_LOGGING_ONLY", "NONE"):
        yield "options.logging must be CLOUD_LOGGING_ONLY"
