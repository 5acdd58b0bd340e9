"""What the plan gives to Google as files: metrics, alert policies, the dashboard, builds."""

import json
import re
from pathlib import Path

import pytest

from deploy import alerts, dashboard, images, metrics, table
from deploy.gcloud import Answer
from deploy.steps import Command
from shared.events import CATALOGUE
from shared.wiring import FUNCTIONS, PUBLISHES, SUBSCRIPTIONS
from tests.deploy.deploying import TARGET, deployed
from tests.deploy.standin import StandIn

ROOT = Path(__file__).parents[2]
TABLE = table.load()
METRICS = {metric["name"]: metric for metric in TABLE["metrics"]}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_a_function_makes_it_may_publish(function: str) -> None:
    catalogue = {event.__name__ for event in CATALOGUE} - {"Notification"}
    code = "".join(path.read_text() for path in (ROOT / "functions" / function).glob("*.py"))
    made = catalogue & set(re.findall(r"\b(\w+)\(", code))
    assert made <= {event.__name__ for event in PUBLISHES.get(function, ())}


def test_a_metric_counts_what_the_wiring_says_by_the_same_labels() -> None:
    handled = json.loads(metrics.config(METRICS["serin_deliveries"]))
    assert handled["filter"] == 'resource.type="cloud_run_revision" AND jsonPayload.message="handled"'
    assert handled["labelExtractors"] == {
        "function": "EXTRACT(jsonPayload.function)",
        "outcome": "EXTRACT(jsonPayload.outcome)",
    }
    assert (handled["metricDescriptor"]["valueType"], "valueExtractor" in handled) == ("INT64", False)
    lag = json.loads(metrics.config(METRICS["serin_lag_seconds"]))
    assert (lag["metricDescriptor"]["valueType"], lag["valueExtractor"]) == (
        "DISTRIBUTION",
        "EXTRACT(jsonPayload.lag_seconds)",
    )


def test_alerts_and_charts_are_about_metrics_that_are_made_and_subscriptions_that_stand() -> None:
    told = json.dumps([alerts.policies(TARGET, TABLE), dashboard.config(TABLE)])
    assert set(re.findall(r"logging\.googleapis\.com/user/(\w+)", told)) == set(METRICS)
    backlog = alerts.policies(TARGET, TABLE)["backlog"]["conditions"][0]["conditionThreshold"]["filter"]
    assert set(re.findall(r'"([\w.-]+)"', backlog.split("one_of")[1])) == {each.name for each in SUBSCRIPTIONS}
    assert set(alerts.policies(TARGET, TABLE)) == {"dead-letters", "failures", "backlog", "rollbacks"}


@pytest.mark.parametrize("name", images.NAMES)
def test_an_image_is_built_on_a_digest_from_its_own_files_and_tagged_by_them(name: str) -> None:
    build = json.loads(images.config(TARGET, name))
    resolve, made = (step["args"][-1] for step in build["steps"])
    assert "RepoDigests" in resolve
    assert '--build-arg BASE_IMAGE="$(cat /workspace/base)"' in made
    assert build["images"] == [images.named(TARGET, name)]
    files = images.context(name)
    assert {f"{name}/Dockerfile", f"{name}/requirements.txt", f"{name}/__main__.py", "shared/events.py"} <= set(files)


def test_every_configuration_is_in_a_file_when_gcloud_reads_it() -> None:
    class Reading(StandIn):
        def __call__(self, command: Command, /) -> Answer:
            for argument in command:
                if found := re.match(r"--(config|config-from-file|policy-from-file)=(.+)", argument):
                    read.append(json.loads(Path(found[2]).read_text()))
            return super().__call__(command)

    read: list[object] = []
    assert deployed(Reading()).failure == ""
    assert len(read) == len(METRICS) + 4 + 1 + 2
