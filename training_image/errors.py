"""What can end a training attempt other than success.

TrainingError
├── BadData         the rows cannot be trained on: trying again is in vain, and later runs leave them out
├── Untrainable     these rows and settings give no model, but more rows or other settings may: trying again is in vain
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


class Untrainable(TrainingError):
    """No fault of any row: too few of them, one label only, or settings that do not fit them."""


class ExportDiffers(TrainingError):
    """The exported model's answers are not those of the fitted model."""

    def __init__(self, what: str, rows: int, rows_differing: int, largest_difference: float) -> None:
        super().__init__(
            [
                f"the exported {what} answers {rows_differing} of {rows} rows differently from the fitted one"
                f" (largest difference {largest_difference:.2g})"
            ]
        )
