"""A model on the local Cloud Run, through Serin's own door and Google's client: deployed, split, asked, taken away."""

import httpx
import psutil
import pytest

from shared.errors import Conflict, Refused
from shared.run_services import CloudRunServices
from shared.serving import Machine
from tests.local.run.conftest import Google
from tests.local.vertex.clients import until

MACHINE = Machine("", (1, 1))


def deployed(google: Google, endpoint: str, number: str, split: dict[str, int] | None = None, **told: str) -> str:
    """Deploys; answers the operation's error."""
    google.registry.recipes[f"v@{number}"] = told
    return google.finished(google.services.deploy(endpoint, number, f"v@{number}", MACHINE, split or {})).error


def shared_out(google: Google, endpoint: str, split: dict[str, int]) -> dict[str, int]:
    now = google.services.endpoint(endpoint)
    assert now is not None
    return dict(google.services.set_split(now, split).split)


def answers(google: Google, endpoint: str, requests: int) -> list[str]:
    """Who answered each of so many requests."""
    at = google.services.address(endpoint)
    with httpx.Client(headers=dict(at.headers), verify=False) as client:
        return [client.post(at.url, json={"instances": [1]}).json()["predictions"][0][0] for _ in range(requests)]


def test_the_first_revision_has_everything_and_the_next_is_dark(google: Google) -> None:
    assert deployed(google, "first", "1") == ""
    assert deployed(google, "first", "2") == ""
    now = google.services.endpoint("first")
    assert now is not None
    assert (dict(now.split), dict(now.deployed)) == ({"1": 100}, {"1": "v@1", "2": "v@2"})


def test_requests_are_split_as_ordered_and_a_dark_revision_gets_none(google: Google) -> None:
    for number in "12":
        deployed(google, "split", number)
    assert set(answers(google, "split", 20)) == {"1"}
    assert shared_out(google, "split", {"2": 30, "1": 70}) == {"1": 70, "2": 30}
    assert 30 < answers(google, "split", 200).count("2") < 90
    assert shared_out(google, "split", {"1": 100}) == {"1": 100}
    assert set(answers(google, "split", 20)) == {"1"}


def test_of_two_orders_under_one_etag_the_second_is_refused(google: Google) -> None:
    for number in "12":
        deployed(google, "etags", number)
    read = google.services.endpoint("etags")
    assert read is not None
    google.services.set_split(read, {"2": 5, "1": 95})
    with pytest.raises(Conflict):
        google.services.set_split(read, {"1": 100})
    # And the same where two have read before either has written: Google's own check, not our comparison.
    service = google.services._services.get_service(name=read.name)
    with pytest.raises(Exception, match="its etag is another"):
        google.services._services.update_service(
            request={"service": {"name": service.name, "etag": read.etag}, "update_mask": {"paths": ["scaling"]}}
        )


def test_what_is_taken_away_cannot_get_traffic_and_the_last_takes_its_service_with_it(google: Google) -> None:
    for number in "12":
        deployed(google, "leaving", number)
    shared_out(google, "leaving", {"2": 5, "1": 95})
    with pytest.raises(Refused, match="still has traffic"):
        google.services.undeploy("leaving", "2")
    shared_out(google, "leaving", {"1": 100})
    assert google.finished(google.services.undeploy("leaving", "2")).error == ""
    with pytest.raises(Refused, match="not deployed"):
        shared_out(google, "leaving", {"2": 5, "1": 95})
    with pytest.raises(Refused, match="404"):
        google.services.undeploy("leaving", "2")
    google.services.undeploy("leaving", "1")
    now = google.services.endpoint("leaving")
    assert now is not None and not now.deployed and not now.split


def test_a_revision_that_never_starts_fails_its_operation_and_changes_nothing(google: Google) -> None:
    deployed(google, "failing", "1")
    assert "is not ready and cannot serve traffic" in deployed(google, "failing", "2", FAILS="exits")
    now = google.services.endpoint("failing")
    assert now is not None
    assert (dict(now.split), list(now.deployed)) == ({"1": 100}, ["1"])
    assert deployed(google, "failing", "3") == ""
    assert shared_out(google, "failing", {"3": 5, "1": 95}) == {"1": 95, "3": 5}


def test_an_order_about_traffic_does_not_wait_for_a_revision_that_starts(google: Google) -> None:
    for number in "12":
        deployed(google, "busy", number)
    shared_out(google, "busy", {"2": 5, "1": 95})
    google.registry.recipes["v@3"] = {"SLOW": "30"}
    google.services.deploy("busy", "3", "v@3", MACHINE, {})
    with pytest.raises(Conflict):
        google.services.deploy("busy", "4", "v@4", MACHINE, {})
    with pytest.raises(Refused, match="another order is under way"):
        google.services.undeploy("busy", "2")
    assert shared_out(google, "busy", {"1": 100}) == {"1": 100}


def test_a_service_without_a_canary_scales_to_zero_and_starts_again_when_asked(google: Google) -> None:
    deployed(google, "zero", "1")
    first = google.services.predict("zero", [1], {})[0][1]
    until(lambda: not psutil.pid_exists(first))
    assert google.services.predict("zero", [1], {})[0][1] != first


def test_while_a_canary_is_watched_both_arms_stay_up(google: Google) -> None:
    for number in "12":
        deployed(google, "warm", number)
    deployed(google, "clock", "1")
    shared_out(google, "warm", {"2": 50, "1": 50})
    before, idle = arms(google, "warm"), google.services.predict("clock", [1], {})[0][1]
    until(lambda: not psutil.pid_exists(idle))
    assert arms(google, "warm") == before
    shared_out(google, "warm", {"1": 100})
    google.services.undeploy("warm", "2")
    until(lambda: not any(psutil.pid_exists(pid) for pid in before.values()))


def arms(google: Google, endpoint: str) -> dict[str, int]:
    """The process that answers for each of two arms."""
    found: dict[str, int] = {}
    while len(found) < 2:
        number, pid = google.services.predict(endpoint, [1], {})[0]
        found[number] = pid
    return found


def test_callers_without_a_token_for_this_service_are_refused(google: Google) -> None:
    deployed(google, "closed", "1")
    address = google.services.address("closed")
    asked = {"instances": [1]}
    assert httpx.post(address.url, json=asked, headers=dict(address.headers)).status_code == 200
    assert httpx.post(address.url, json=asked).status_code == 403
    assert httpx.post(address.url, json=asked, headers={"Authorization": "Bearer nonsense"}).status_code == 401
    deployed(google, "other", "1")
    other = google.services.address("other")
    assert httpx.post(address.url, json=asked, headers=dict(other.headers)).status_code == 401


def test_a_bad_row_is_refused_with_its_status(google: Google) -> None:
    deployed(google, "bad", "1")
    with pytest.raises(Refused, match="status 400"):
        google.services.predict("bad", ["bad"], {})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/projects/p/locations/us-central1/services/x:setIamPolicy"),
        ("GET", "/v2/projects/p/locations/us-central1/workerPools"),
        ("GET", "/v1/projects/p/locations/us-central1/services"),
    ],
)
def test_what_is_not_here_is_said_to_be_unimplemented(google: Google, method: str, path: str) -> None:
    answer = httpx.request(method, f"{google.url}{path}")
    assert (answer.status_code, answer.json()["error"]["status"]) == (501, "UNIMPLEMENTED")


def test_names_that_are_too_long_for_a_service_are_shortened_each_to_its_own(google: Google) -> None:
    assert isinstance(google.services, CloudRunServices)
    long, longer = "serin-" + "m" * 40, "serin-" + "m" * 40 + "-staging"
    ids = {google.services._path(each).rsplit("/", 1)[-1] for each in (long, longer)}
    assert len(ids) == 2 and all(len(each) == 40 for each in ids)
