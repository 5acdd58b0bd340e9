"""The columns of a model: what its first accepted file had, and what its settings name beyond that."""

from collections.abc import Mapping

from shared.settings import DataSettings
from shared.tables.cells import Kind


def expected_columns(recorded: Mapping[str, Kind], settings: DataSettings) -> dict[str, Kind]:
    """Every column that counts, with its kind: the settings' word before the record's."""
    return {**recorded, **{name: kind_of(name, settings) or recorded.get(name, "text") for name in settings.columns}}


def kind_of(name: str, settings: DataSettings) -> Kind | None:
    """The kind that the settings give a column; None if they leave it to its cells."""
    rule = settings.columns.get(name)
    if rule is None:
        return None
    bounded = rule.minimum is not None or rule.maximum is not None
    return rule.kind or ("number" if bounded else None)
