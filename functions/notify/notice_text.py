"""A notice as people read it, as a log keeps it and as a program takes it."""

from collections.abc import Mapping

from shared.events import Notification
from shared.logs import Severity

MAX_BODY_CHARS = 8_000  # what the narrowest channels still take in a few pieces
SEVERITIES: Mapping[str, Severity] = {"info": "INFO", "warning": "WARNING", "error": "ERROR"}


def body(notice: Notification) -> str:
    """What stands below the title: why, then what to do next, then where to look."""
    lines = [f"- {reason}" for reason in notice.why]
    lines += [f"Next: {notice.next}"] if notice.next else []
    lines += [f"See: {notice.link}"] if notice.link else []
    text = "\n".join(lines) or notice.title
    return text if len(text) <= MAX_BODY_CHARS else f"{text[: MAX_BODY_CHARS - 1]}…"


def fields(notice: Notification) -> dict[str, object]:
    """What the log keeps of a notice beside its severity and its title."""
    return notice.model_dump(mode="json", exclude={"severity", "title"}, exclude_none=True)


def document(notice: Notification, event: str) -> Mapping[str, object]:
    """The notice as a webhook's receiver gets it: every field, what is not known as null."""
    return {"id": event, **notice.model_dump(mode="json")}
