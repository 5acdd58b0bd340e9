"""What a run, an idle month, predictions and a canary cost on each backend, from the table of prices. All pure.

A price that the table lacks makes a sum unknown, never smaller. Not counted: taxes, free tiers, discounts, traffic that
leaves the region, boot disks of training machines.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from shared.prices import PriceTable, Work
from shared.settings import Settings

Backend = Literal["vertex", "cloud_run"]
BACKENDS: tuple[Backend, ...] = ("vertex", "cloud_run")
HOURS_PER_MONTH = 730
MILLION = 1_000_000
_TICKS_PER_MONTH = HOURS_PER_MONTH * 60
_SHORTEST_BILLED_SECONDS = 0.1  # Cloud Run rounds up to it: https://cloud.google.com/run/pricing
_SMALLEST_MESSAGE_BYTES = 1000
_TIB, _GIB = 2**40, 2**30


@dataclass(frozen=True)
class Part:
    """One part of a cost in dollars; None if there is no price for it."""

    what: str
    dollars: float | None


@dataclass(frozen=True)
class Cost:
    """What something costs, and of what that consists."""

    what: str
    parts: tuple[Part, ...]

    @property
    def dollars(self) -> float | None:
        """The sum; None if any part of it is unknown."""
        return _sum(part.dollars for part in self.parts)


@dataclass(frozen=True)
class Sizes:
    """What a model trains and serves on, and how long its canary is watched and bakes at least."""

    training_machine: str
    training_cpus: float
    training_gibibytes: float
    serving_machine: str
    serving_cpus: float
    serving_gibibytes: float
    replicas: int
    watched_seconds: float
    bake_seconds: float
    interval_seconds: float
    accelerator: str = ""
    accelerators: int = 0
    spot: bool = False


def sizes(settings: Settings) -> Sizes:
    """A model's sizes as its settings say them."""
    return Sizes(
        settings.training.machine_type, float(settings.training.cpu), _gibibytes(settings.training.memory),
        settings.serving.machine_type, float(settings.serving.cpu), _gibibytes(settings.serving.memory),
        settings.serving.replicas_min,
        (len(settings.rollout.steps) - 1) * settings.evidence.minimum_seconds,
        settings.rollout.bake_seconds, settings.evidence.report_seconds,
        settings.training.accelerator_type, settings.training.accelerator_count, settings.training.spot,
    )  # fmt: skip


def run(table: PriceTable, size: Sizes, backend: Backend) -> Cost:
    """A run from its rows to production, without its canary."""
    assumed = table.assumed
    return Cost(
        f"a run, trained for {_minutes(assumed.training_seconds)}",
        (
            training(table, size, backend, assumed.training_seconds),
            serving(table, size, backend, assumed.staging_seconds, f"staged for {_minutes(assumed.staging_seconds)}"),
            *work(table, table.counted.run),
        ),
    )


def idle_month(table: PriceTable, size: Sizes, backend: Backend) -> Cost:
    """A month in which nothing is dropped and nothing predicted, with one model in production."""
    always = HOURS_PER_MONTH * 3600.0
    served = serving(table, size, backend, always, f"{size.replicas} × {size.serving_machine}")
    scaled_to_zero = Part("serving, at rest without an instance", 0.0)
    assumed = table.assumed
    return Cost(
        "an idle month",
        (
            served if backend == "vertex" else scaled_to_zero,
            *work(table, table.counted.tick.times(_TICKS_PER_MONTH)),
            Part("the clock", table.dollars("scheduler/job")),
            Part("what is stored", _times(table, "storage/month", assumed.stored_gigabytes)),
            Part("images", _times(table, "registry/month", assumed.image_gigabytes)),
            Part("logs", _times(table, "logging/ingested", _TICKS_PER_MONTH * assumed.log_bytes / _GIB)),
        ),
    )


def million_predictions(table: PriceTable, size: Sizes, backend: Backend) -> Cost:
    """A million predictions: the machine time that they take. On Cloud Run one after another, the dearest case."""
    seconds = table.assumed.prediction_seconds
    if backend == "vertex":
        hours = MILLION * seconds / 3600 / _cores(size.serving_machine)
        machine = _times(table, f"vertex_serving/{size.serving_machine}", hours)
        return Cost("a million predictions", (Part("machine time, of what the month has paid already", machine),))
    billed = MILLION * max(_SHORTEST_BILLED_SECONDS, seconds)
    answered = _container(table, "request", size.serving_cpus, size.serving_gibibytes, billed)
    return Cost("a million predictions", (Part("answering", answered), Part("requests", _requests(table, MILLION))))


def canary(table: PriceTable, size: Sizes, backend: Backend) -> Cost:
    """The shortest canary that is promoted: every step's shortest time, then the bake, with two versions warm."""
    seconds = size.watched_seconds + size.bake_seconds
    intervals = seconds / size.interval_seconds
    warm = serving(table, size, backend, seconds, "the second version") if backend == "vertex" else Part(
        "both versions kept warm", _container(table, "idle", size.serving_cpus, size.serving_gibibytes, 2 * seconds)
    )  # fmt: skip
    return Cost(f"a canary of {_hours(seconds)}", (warm, *work(table, table.counted.interval.times(intervals))))


def training(table: PriceTable, size: Sizes, backend: Backend, seconds: float) -> Part:
    """The training job alone."""
    what = f"training for {_minutes(seconds)}"
    if backend == "vertex":
        hours, kind = seconds / 3600, "spot" if size.spot else "training"
        machine = _times(table, f"vertex_{kind}/{size.training_machine}", hours)
        if not size.accelerators:
            return Part(what, machine)
        with_them = f"{what} with {size.accelerators} × {size.accelerator}"
        added = _times(table, f"vertex_{kind}_accelerator/{size.accelerator}", size.accelerators * hours)
        return Part(with_them, _sum((machine, added)))
    return Part(what, _container(table, "job", size.training_cpus, size.training_gibibytes, seconds))


def serving(table: PriceTable, size: Sizes, backend: Backend, seconds: float, what: str) -> Part:
    """One version kept deployed for a time."""
    if backend == "vertex":
        hours = size.replicas * seconds / 3600
        return Part(what, _times(table, f"vertex_serving/{size.serving_machine}", hours))
    return Part(what, _container(table, "idle", size.serving_cpus, size.serving_gibibytes, seconds))


def work(table: PriceTable, done: Work, seconds: float | None = None) -> tuple[Part, Part, Part]:
    """What functions do: their time (reckoned from their calls unless it is known), their calls, their messages."""
    assumed = table.assumed
    taken = (done.writes + done.reads) * assumed.call_seconds if seconds is None else seconds
    functions = _container(table, "request", assumed.function_cpus, assumed.function_gibibytes, taken)
    calls = _sum(
        (_times(table, "storage/class_a", done.writes / 1000), _times(table, "storage/class_b", done.reads / 1000))
    )
    carried = 2 * done.messages * max(_SMALLEST_MESSAGE_BYTES, assumed.message_bytes) / _TIB
    return (
        Part("functions", _sum((functions, _requests(table, done.deliveries)))),
        Part("storage operations", calls),
        Part("messages", _times(table, "pubsub/throughput", carried)),
    )


FORECASTS: tuple[Callable[[PriceTable, Sizes, Backend], Cost], ...] = (run, idle_month, million_predictions, canary)


def told(cost: Cost) -> str:
    """A cost in a few words."""
    return f"{cost.what}: {amount(cost.dollars)}"


def amount(dollars: float | None) -> str:
    """A sum as people read it; small ones with the digits that matter."""
    if dollars is None:
        return "not known, there is no price for a part of it"
    return f"${dollars:,.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"


def _container(table: PriceTable, kind: str, cpus: float, gibibytes: float, seconds: float) -> float | None:
    cpu = _times(table, f"cloud_run/{kind}_cpu", cpus * seconds)
    return _sum((cpu, _times(table, f"cloud_run/{kind}_memory", gibibytes * seconds)))


def _requests(table: PriceTable, number: float) -> float | None:
    return _times(table, "cloud_run/requests", number / MILLION)


def _times(table: PriceTable, name: str, quantity: float) -> float | None:
    price = table.dollars(name)
    return None if price is None else price * quantity


def _sum(parts: Iterable[float | None]) -> float | None:
    found = list(parts)
    return None if None in found else sum(each for each in found if each is not None)


def _gibibytes(memory: str) -> float:
    """Of a quantity as Cloud Run writes it: 16Gi, 512Mi."""
    amount_of, unit = float(memory[:-2]), memory[-2:]
    return amount_of if unit == "Gi" else amount_of / 1024


def _cores(machine: str) -> int:
    """The CPUs of a machine type that ends in their number; one where it does not."""
    last = machine.rsplit("-", 1)[-1]
    return int(last) if last.isdigit() else 1


def _minutes(seconds: float) -> str:
    return f"{round(seconds / 60, 1):g} min" if seconds >= 60 else f"{seconds:.0f} s"


def _hours(seconds: float) -> str:
    return f"{round(seconds / 3600, 2):g} h"
