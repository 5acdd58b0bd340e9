"""Files that are being scored: the file is announced once more when its job has ended, or when nobody went on or told.

Only the last two days' beginnings are listed, as no job is left to run for longer than one; what is older and has no
end is found by the sweep for uploads.
"""

from datetime import timedelta

from object_announcing import announce

from shared.errors import Refused
from shared.ids import ModelName
from shared.ledger import Record, score_key, scoring_prefix
from shared.step import Step

_PATIENCE = timedelta(seconds=600)  # within it, whoever reads the file may still be at it, or be delivered again
_LETTER = timedelta(hours=3)  # within it, whoever has ended the file's scoring may have been given up
_OLDEST = timedelta(hours=24)  # of a job; score_batch cancels what is older


def of_scores(step: Step) -> None:
    """Announces every file whose scoring can go on."""
    today = step.cloud.now().date()
    for day in (today - timedelta(days=1), today):
        for entry in step.ledger.entries(scoring_prefix(day)):
            begun = step.ledger.require(entry.key)
            if _is_due(begun, step):
                announce(begun.data["name"], begun.data["generation"], step)


def _is_due(begun: Record, step: Step) -> bool:
    model, upload = ModelName(begun.data["model"]), begun.data["upload"]
    if (end := step.ledger.find(score_key(model, upload, "end"))) is not None:
        return step.cloud.now() - end.at < _LETTER and bool(step.until_heard(end))
    made = step.ledger.find(score_key(model, upload, "job"))
    if made is None:
        return step.cloud.now() - begun.at > _PATIENCE
    try:
        job = step.cloud.vertex.batch_job(made.data["job"])
    except Refused as refused:
        if not refused.absent:
            raise
        return True  # somebody has deleted it: the file's scoring ends with that
    return job.ended or step.cloud.now() - job.created > _OLDEST
