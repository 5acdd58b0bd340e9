"""What is known of a message that was given up: which function, which event, how often tried, and where it broke."""

import base64
import hashlib
from collections.abc import Mapping

from shared.envelope import Message
from shared.events import Notification
from shared.foreign import DeadLetter, generation_of
from shared.ids import MODEL_NAME, ModelName, RunId, run_parts
from shared.ledger import Ledger, Outcome, bugs_prefix, dead_letter_key
from shared.step import Events, Step

MAX_DATA_BYTES = 1024 * 1024  # above the largest event of ours, a full batch of outcomes
_NOBODY = ModelName("unknown")
_OWN_SOURCE = "//serin/record_dead_letter"
_ENDINGS = ("-replayed", "-discarded")
_DAY = len("2026-01-31")
_STORED_OBJECT = ("bucketId", "objectId", "objectGeneration")


def keep(letter: DeadLetter, step: Step) -> Events:
    """Keeps a dead letter once, and once more when it is given up after a replay or a discarding; tells people."""
    about = identity(letter)
    key = dead_letter_key(about, f"{_number(about, letter, step.ledger):06d}")
    return step.ledger.once(key, lambda: _kept(letter, step.ledger)).events


def _number(about: str, letter: DeadLetter, ledger: Ledger) -> int:
    """How often it had ended before; Pub/Sub's second copy of one publishing is the letter that is kept already."""
    names = [entry.key.rsplit("/", 1)[-1] for entry in ledger.entries(dead_letter_key(about, ""))]
    for name in names:
        if name.isdecimal() and letter.published:
            kept = ledger.require(dead_letter_key(about, name))
            if kept.data.get("published") == letter.published:
                return int(name)
    return len({name[:6] for name in names if name.endswith(_ENDINGS)})


def identity(letter: DeadLetter) -> str:
    """The same for every copy of the same event given up by the same subscription.

    What has no identity of its own, as a tick of the clock, is known by what it holds and the day it was published: a
    subscription that gives up every tick is told of once a day.
    """
    about = (letter.subscription, *_event_identity(letter))
    return hashlib.sha256("\0".join(about).encode()).hexdigest()[:20]


def function_of(subscription: str) -> str:
    """The function whose subscription it was, named `<function>.<topic>`."""
    return subscription.rsplit("/", 1)[-1].split(".", 1)[0]


def _kept(letter: DeadLetter, ledger: Ledger) -> Outcome:
    function = function_of(letter.subscription)
    trace = _traceback_id(function, letter.attributes, ledger)
    data = {
        "function": function,
        "subscription": letter.subscription,
        "attempts": letter.attempts,
        "published": letter.published,
        "attributes": dict(letter.attributes),
        "data": base64.b64encode(letter.data[:MAX_DATA_BYTES]).decode(),
        "data_bytes": len(letter.data),
        "traceback": trace,
    }
    return Outcome(data, _notices(letter, function, trace))


def _notices(letter: DeadLetter, function: str, trace: str | None) -> tuple[Notification, ...]:
    # The notice about a lost notice was lost too: to say more about it would go on for ever while the channel is dead.
    if letter.attributes.get("ce-source") == _OWN_SOURCE:
        return ()
    model, run = _about(letter.attributes)
    why = (
        f"event {letter.attributes.get('ce-id') or _object_name(letter.attributes)}",
        f"kind {letter.attributes.get('ce-type') or 'not an event of ours'}",
        f"traceback {trace.rsplit('/', 1)[-1]}" if trace else "no bug was noted: it was put off every time",
    )
    notice = Notification(
        model=model,
        run=run,
        severity="error",
        title=f"{function} gave up an event after {letter.attempts} attempts"[:200],
        why=why,
        next=f"mend the cause, then `serin dead-letters replay {identity(letter)}`",
    )
    return (notice,)


def _about(attributes: Mapping[str, str]) -> tuple[ModelName, RunId | None]:
    """The model and run that the letter names, as far as they are names at all."""
    try:
        run = RunId(attributes.get("ce-run", ""))
        return run_parts(run)[0], run
    except ValueError:
        model = attributes.get("ce-model", "")
        return (ModelName(model) if MODEL_NAME.fullmatch(model) else _NOBODY), None


def _event_identity(letter: DeadLetter) -> tuple[str, ...]:
    attributes = letter.attributes
    if attributes.get("ce-id"):
        return attributes.get("ce-source", ""), attributes["ce-id"]
    if all(attributes.get(name) for name in _STORED_OBJECT):
        return tuple(attributes[name] for name in _STORED_OBJECT)
    content = "\0".join(f"{name}={value}" for name, value in sorted(attributes.items()))
    return content, hashlib.sha256(letter.data).hexdigest(), letter.published[:_DAY]


def _object_name(attributes: Mapping[str, str]) -> str:
    return attributes.get("objectId") or "without a name"


def _traceback_id(function: str, attributes: Mapping[str, str], ledger: Ledger) -> str | None:
    """The record of the newest bug that the function noted for this event, or None."""
    cause = attributes.get("ce-id") or generation_of(Message(attributes, b""))
    noted = ledger.entries(bugs_prefix(function, cause))
    return max(noted, key=lambda entry: entry.created).key if noted else None
