"""What a notice links to opens in a browser: on Google's pages, or where the buckets are."""

import pytest

from shared.links import link_to

REPORT, FOLDER = "gs://artefacts/m/run 1/report.html", "gs://artefacts/scored/m/1/"
LOCAL = "http://127.0.0.1:8681"


@pytest.mark.parametrize(
    ("place", "endpoint", "address"),
    [
        (REPORT, None, "https://storage.cloud.google.com/artefacts/m/run%201/report.html"),
        (FOLDER, None, "https://console.cloud.google.com/storage/browser/artefacts/scored/m/1/"),
        (REPORT, LOCAL, f"{LOCAL}/storage/v1/b/artefacts/o/m%2Frun%201%2Freport.html?alt=media"),
        (FOLDER, LOCAL, f"{LOCAL}/storage/v1/b/artefacts/o?prefix=scored%2Fm%2F1%2F"),
    ],
)
def test_an_object_and_a_folder_have_an_address(place: str, endpoint: str | None, address: str) -> None:
    assert link_to(place, endpoint) == address
