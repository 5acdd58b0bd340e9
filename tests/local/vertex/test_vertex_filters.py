"""The filter language of lists."""

import pytest

from local.errors import CloudError, Status
from local.vertex.filters import parsed

FIELDS = {"state", "displayName", "createTime"}
JOB = {
    "state": "JOB_STATE_RUNNING",
    "displayName": "digits (7)",
    "createTime": "2026-11-21T04:00:00.000000Z",
    "labels": {"run": "digits-000001", "serin-model": "digits", "empty": ""},
}


@pytest.mark.parametrize(
    ("condition", "meets"),
    [
        ("", True),
        ("labels.run=digits-000001", True),
        ("labels.run = digits-000001", True),
        ('labels.run="digits-000001"', True),
        ('labels."run"="digits-000001"', True),
        ("labels.run=digits-000002", False),
        ("labels.run!=digits-000002", True),
        ("labels.run:*", True),
        ("labels.stop:*", False),
        ("labels:run", True),
        ("labels:stop", False),
        ("labels.empty=", None),
        ('labels.empty=""', True),
        ("labels.serin-model=digits AND labels.run=digits-000001", True),
        ("labels.serin-model=digits labels.run=digits-000002", False),
        ("labels.run=x OR labels.serin-model=digits", True),
        ("labels.run=x OR labels.serin-model=digits AND labels.run=y", False),
        ("(labels.run=x OR labels.serin-model=digits) AND NOT labels.stop:*", True),
        ('state="JOB_STATE_RUNNING"', True),
        ('NOT state="JOB_STATE_RUNNING"', False),
        ('display_name="digits (7)"', True),
        ('displayName="digits (7)"', True),
        ('display_name:"digits*"', True),
        ('display_name=")"', False),
        ('display_name="OR"', False),
        ('create_time>"2026-11-20T00:00:00Z"', True),
        ('create_time<="2026-11-20T00:00:00Z"', False),
        ("labels.run", None),
        ("labels.run=a AND", None),
        ("labels.run=a OR OR labels.run=b", None),
        ("(labels.run=a", None),
        ("labels.run=a)", None),
        ("NOT", None),
        ("owner=me", None),
        ('labels.run="unended', None),
        ("(" * 50 + "labels.run=a" + ")" * 50, None),
        ("labels.run=" + "a" * 5000, None),
    ],
)
def test_a_filter_decides_or_is_refused(condition: str, meets: bool | None) -> None:
    if meets is not None:
        assert parsed(condition, FIELDS)(JOB) is meets
        return
    with pytest.raises(CloudError) as refused:
        parsed(condition, FIELDS)(JOB)
    assert refused.value.status is Status.INVALID_ARGUMENT
