"""One notice to many channels: each hears it, none waits for another, and whoever has heard it is not told again.

notice ─► log line ─► posted ─► per channel: told? ─ yes ─► nothing
                                        └ no ──► send ─┬ taken ──► told
                                                       └ refused ─► said once a day on the other channels;
                                                                    the next channel; in the end, delivered again
"""

from functools import partial

from notice_channel import Posted, Send, send
from notice_text import SEVERITIES, fields

from shared.channels import Channel
from shared.errors import Transient
from shared.events import Notification
from shared.ledger import POSTED, Outcome, notice_key
from shared.step import Events, Step, publish


def deliver(notice: Notification, step: Step, way: Send = send) -> Events:
    """Tells every channel that has not heard the notice yet; Transient if any of them could not be told.

    What every channel of its time has heard is over: one that was added or renamed since hears no replay of it.
    """
    event = step.cause or ""
    step.log.say(SEVERITIES[notice.severity], notice.title, notice=fields(notice))
    channels = [channel for channel in step.cloud.environment.channels if channel.hears(notice)]
    posted = step.ledger.once(notice_key(event, POSTED), lambda: _posted(notice, event, channels))
    if all(step.ledger.find(_told_key(event, name)) is not None for name in posted.data["channels"]):
        return ()
    untold = [channel for channel in channels if not _told(channel, notice, step, way)]
    for channel in untold:
        _report(channel, notice, step)
    if untold:
        raise Transient("notify.send", f"not told: {', '.join(channel.name for channel in untold)}")
    return ()


def _posted(notice: Notification, event: str, channels: list[Channel]) -> Outcome:
    about = notice.model_dump(mode="json", include={"severity", "model", "run", "title"})
    return Outcome({"event": event, **about, "channels": [channel.name for channel in channels]})


def _told(channel: Channel, notice: Notification, step: Step, way: Send) -> bool:
    """Whether the channel has heard the notice, telling it now if it has not."""
    event = step.cause or ""
    key = _told_key(event, channel.name)
    if step.ledger.find(key) is not None:
        return True
    told = partial(way, channel, Posted(notice, event, step.cloud.now()))
    if not step.cloud.door("notify.send", told):
        return False
    step.ledger.record(key, Outcome({"event": event, "channel": channel.name, "title": notice.title}))
    return True


def _told_key(event: str, channel: str) -> str:
    return notice_key(event, f"told/{channel}")


def _report(channel: Channel, notice: Notification, step: Step) -> None:
    """Says on the other channels that this one is down: at most once a day, or its own failure would go round.

    Published by whoever created the record, at once: the delivery is about to be given back.
    """
    event, today = step.cause or "", step.cloud.now().date()
    step.ledger.once(notice_key(event, f"refused/{channel.name}"), lambda: Outcome({"channel": channel.name}))
    key = f"channels/{channel.name}/down/{today}"
    if step.ledger.find(key) is not None:
        return
    said = Notification(
        model=notice.model, severity="error", title=f"the channel {channel.name} takes no notices",
        why=(f"it did not take: {notice.title}"[:500],), next="see to it; what it missed is tried again for hours",
    )  # fmt: skip
    for envelope in step.ledger.record(key, Outcome({"channel": channel.name}, (said,))).events:
        publish(step.cloud, envelope)
