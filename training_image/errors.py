"""What can end a training attempt other than success.

TrainingError
├── BadData         the rows cannot be trained on: a person must change the data or the settings
└── ExportDiffers   the exported model does not answer as the fitted one: nothing may be deployed
"""

from __future__ import annotations

from collections.abc import Sequence


class TrainingError(Exception):
    """An end of the attempt that has a reason a person can read."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class BadData(TrainingError):
    """The rows cannot be trained on; every reason found is named."""


class ExportDiffers(TrainingError):
    """The exported model's answers are not those of the fitted model."""

    def __init__(self, rows: int, rows_differing: int, largest_difference: float) -> None:
        super().__init__(
            [
                f"the exported model answers {rows_differing} of {rows} rows differently from the fitted one"
                f" (largest difference of a probability {largest_difference:.2g})"
            ]
        )
