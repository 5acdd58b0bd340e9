"""The dated table of prices as values: `shared/prices.toml` is the one file in which they stand, with their sources."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import BadInput

FILE = Path(__file__).with_suffix(".toml")
Checked = Literal["page", "second hand", "memory"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Price(_Entry):
    """One price; `checked` says how sure it is, `read` when its source was read."""

    dollars: float = Field(ge=0)
    per: str
    source: str
    read: date
    checked: Checked


class Work(_Entry):
    """What functions do for something: deliveries, creations and listings, readings, and messages published."""

    deliveries: float = Field(ge=0)
    writes: float = Field(ge=0)
    reads: float = Field(ge=0)
    messages: float = Field(ge=0)

    def times(self, factor: float) -> Self:
        return type(self)(**{name: value * factor for name, value in self.model_dump().items()})


class Counted(_Entry):
    """What Serin does for a run, a tick of the clock, and an interval of a canary."""

    run: Work
    tick: Work
    interval: Work


class Assumed(_Entry):
    """What nobody can know before; the names say the units."""

    training_seconds: float = Field(ge=0)
    staging_seconds: float = Field(ge=0)
    function_cpus: float = Field(ge=0)
    function_gibibytes: float = Field(ge=0)
    call_seconds: float = Field(ge=0)
    prediction_seconds: float = Field(ge=0)
    message_bytes: int = Field(ge=0)
    log_bytes: int = Field(ge=0)
    stored_gigabytes: float = Field(ge=0)
    image_gigabytes: float = Field(ge=0)


class PriceTable(_Entry):
    """Every price, and what is reckoned with it."""

    as_of: date
    region: str
    price: Mapping[str, Price]
    counted: Counted
    assumed: Assumed

    def dollars(self, name: str) -> float | None:
        """A price by its name; None if the table has none."""
        found = self.price.get(name)
        return None if found is None else found.dollars


def read_prices(text: bytes) -> PriceTable:
    """The table in a TOML file; raises BadInput with every problem."""
    try:
        return PriceTable.model_validate(tomllib.loads(text.decode("utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput("prices", [f"not a TOML file: {error}"]) from error
    except ValidationError as error:
        problems = error.errors(include_input=False)
        raise BadInput("prices", [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems]) from error


@cache
def list_prices() -> PriceTable:
    """The table that Serin comes with."""
    return read_prices(FILE.read_bytes())
