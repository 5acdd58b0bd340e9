"""When what is asked, or what is right, has changed enough to matter: as settings."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]


class DriftRules(BaseModel):
    """How often a live model is looked at, over which time, and what counts as drift."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    period_seconds: float = Field(3600.0, gt=0, description="time between two looks at a live model")
    periods: Positive = Field(24, description="periods that a look takes together, the newest the last")
    least_rows: Positive = Field(1000, description="rows in those periods, below which nothing is said of features")
    least_labels: Positive = Field(300, description="labels in those periods, below which nothing is said of accuracy")
    psi: float = Field(0.2, gt=0, description="population stability index of a column from which on its shift matters")
    accuracy_points: float = Field(5.0, gt=0, lt=100, description="drop in accuracy since training that matters")
    false_alarm_percent: float = Field(
        1.0, gt=0, lt=100, description="chance of a false alarm in a month of looks, over all columns together"
    )
    retrain: bool = Field(False, description="whether drift asks for training on the rows that wait")
    cool_down_hours: float = Field(24.0, ge=0, description="shortest time between two such requests")
