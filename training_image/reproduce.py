"""`python -m training_image.reproduce RUN`: a run trained again from its record, and every number compared.

It writes nothing anywhere: what it trains is compared with what stands in the ledger and in the artefacts, and dropped.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.artefacts import read_artefact
from shared.environment import Cloud, open_cloud
from shared.errors import BadInput, SerinError
from shared.ids import RunId
from shared.ledger import Author, Ledger, run_key
from training_image.errors import TrainingError
from training_image.libraries import library_versions
from training_image.lineage import Code, Lineage, code_of
from training_image.run_record import read_champion, read_record, read_uploads
from training_image.training import Trained, train

_CIRCUMSTANCES = ("library_versions",)
"""What may differ without the numbers being other ones; told, but no failure by itself."""


class Difference(BaseModel):
    """One number, by its place in the evaluation, that is not what the record says."""

    model_config = ConfigDict(frozen=True)
    place: str
    recorded: Any
    again: Any


class Reproduction(BaseModel):
    """How a second training compares with the recorded one."""

    model_config = ConfigDict(frozen=True)
    run: str
    numbers: int
    differences: tuple[Difference, ...]
    same_model: bool
    circumstances: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every number of the evaluation is the recorded one."""
        return not self.differences


def reproduce(run: RunId, cloud: Cloud, code: Code) -> Reproduction:
    """Trains a decided run again; NotYet before its decision, BadInput when its rows are gone or were others."""
    ledger = Ledger(cloud.state, Author("reproduce", None, None, cloud.now, cloud.token))
    decision = ledger.require(run_key(run, "decision")).data
    lineage = _lineage(decision["artefacts"], cloud)
    record = read_record(run, ledger)
    trained = train(
        record.plan,
        read_uploads(record.earlier, cloud, ledger),
        read_uploads(record.window, cloud, ledger),
        read_champion(record.champion, cloud),
    )
    return compared(run, decision["evaluation"], trained, _model_digest(decision["artefacts"], cloud), lineage, code)


def compared(
    run: RunId, recorded: Mapping[str, Any], trained: Trained, model_sha256: str, lineage: Lineage, code: Code
) -> Reproduction:
    """The recorded evaluation and model against those of a second training."""
    old, new = dict(_leaves(recorded)), dict(_leaves(trained.evaluation.model_dump(mode="json")))
    places = [place for place in sorted({*old, *new}) if not place.startswith(_CIRCUMSTANCES)]
    return Reproduction(
        run=run,
        numbers=len(places),
        differences=tuple(
            Difference(place=place, recorded=old.get(place), again=new.get(place))
            for place in places
            if old.get(place) != new.get(place)
        ),
        same_model=hashlib.sha256(trained.model.content).hexdigest() == model_sha256,
        circumstances=tuple(_circumstances(lineage, code)),
    )


def _circumstances(lineage: Lineage, code: Code) -> Iterator[str]:
    if lineage.code.source_sha256 != code.source_sha256:
        yield f"the code is another: then {_named(lineage.code)}, now {_named(code)}"
    for name, version in library_versions().items():
        if (then := lineage.library_versions.get(name)) != version:
            yield f"{name} is {version}, then it was {then}"


def _named(code: Code) -> str:
    return f"source {code.source_sha256[:12]}{f' (commit {code.commit[:12]})' if code.commit else ''}"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value of a JSON document by its place in it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{number}]")
    else:
        yield place, value


def _lineage(place: str, cloud: Cloud) -> Lineage:
    """What Serin's trainer has left; BadInput where another trainer left its own."""
    return Lineage.model_validate_json(read_artefact(cloud.artefacts, place, "lineage.json"))


def _model_digest(place: str, cloud: Cloud) -> str:
    return hashlib.sha256(read_artefact(cloud.artefacts, place, "model.onnx")).hexdigest()


def told(found: Reproduction) -> Iterator[str]:
    """The outcome as people read it."""
    verdict = "the same" if found.same else f"{len(found.differences)} are others"
    yield f"{found.run}: {found.numbers} numbers compared, {verdict}"
    yield f"model.onnx: {'the same bytes' if found.same_model else 'other bytes'}"
    yield from (f"{one.place}: recorded {one.recorded}, now {one.again}" for one in found.differences)
    yield from found.circumstances


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 the same numbers, 1 others or none."""
    run, as_json = arguments[0], "--json" in arguments
    try:
        found = reproduce(RunId(run), open_cloud(), code_of(os.environ))
    except (SerinError, TrainingError) as error:
        reasons = error.reasons if isinstance(error, BadInput | TrainingError) else (str(error),)
        sys.stderr.write(f"serin: {'; '.join(reasons)}\n")
        return 1
    lines = [json.dumps(found.model_dump(mode="json"), indent=1)] if as_json else told(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0 if found.same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
