"""Each way in which a build configuration can be wrong is seen without a build."""

import pytest

from tests.cloudbuild.__main__ import ROOT, main
from tests.cloudbuild.configurations import faults

BUILD = (ROOT / "cloudbuild.yaml").read_text()


def test_the_build_configurations_are_as_google_defines_them() -> None:
    assert main() == 0


@pytest.mark.parametrize(
    ("line", "other", "fault"),
    [
        ("machineType: E2_HIGHCPU_8", "machineType: ENORMOUS", "ENORMOUS"),
        ("timeout: 7200s", "timeout: two hours", "timeout"),
        ("waitFor:", "waitsFor:", "waitsFor"),
        ('waitFor: ["tests", "base"]', 'waitFor: ["test"]', "step images waits for test"),
        ("  - id: tests", "  - id: checks", "no id of its own"),
        ("_REGION: us-central1", "_ZONE: a", "$_REGION is not declared"),
        ("_REGION: us-central1", "_REGION: us-central1\n  _ZONE: a", "_ZONE is used nowhere"),
        ("$SHORT_SHA", "$SHORT_COMMIT", "$SHORT_COMMIT is no substitution"),
        ("set -euo pipefail\n      make test", "make test", "step tests goes on after a failure"),
        ("      done\n", "", "step images"),
        ("  logging: CLOUD_LOGGING_ONLY\n", "", "options.logging"),
    ],
)
def test_a_fault_is_seen(line: str, other: str, fault: str) -> None:
    broken = BUILD.replace(line, other, 1)
    assert broken != BUILD
    assert fault in "\n".join(faults(broken))


def test_only_what_is_known_by_its_digest_is_deployed() -> None:
    assert "(cat training-image.txt)" in BUILD and "(cat serving-image.txt)" in BUILD
    production = (ROOT / "cloudbuild.production.yaml").read_text()
    assert "@sha256:[0-9a-f]{64}$" in production.split("deploy.sh")[0]
