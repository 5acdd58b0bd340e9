"""A delivery is taken from the one account that may deliver, and from nobody else, whatever its token claims."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.pubsub.oidc import Signer
from shared.envelope import Message
from shared.errors import BadInput, Transient, Untrusted
from shared.push_token import IssuersKeys, Pusher, check, keys_at
from tests.functions.standing_run import event
from tests.world.cloud import VARIABLES, MemoryCloud
from tests.world.running import deliver

NOW = datetime.now(UTC).replace(microsecond=0)
ACCOUNT = "serin-push@p.iam.gserviceaccount.com"
PUSHER = Pusher(ACCOUNT, "https://functions.example.org/{function}")
AUDIENCE = "https://functions.example.org/notify"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("issuer"), lambda: NOW.timestamp())


def taken(header: str | None, signer: Signer) -> None:
    check(header, PUSHER, "notify", lambda _: signer.certificates())


def bearer(token: str) -> str:
    return f"Bearer {token}"


def claims(**changes: Any) -> dict[str, Any]:
    plain = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True}
    times = {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 3600}
    return {name: value for name, value in {**plain, **times, **changes}.items() if value is not None}


def part(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_token_of_the_account_for_this_function_is_taken(signer: Signer) -> None:
    taken(bearer(signer.token(ACCOUNT, AUDIENCE)), signer)


def test_the_issuers_short_name_is_as_good(signer: Signer) -> None:
    taken(bearer(signer._signed(claims(iss="accounts.google.com"))), signer)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://functions.example.org/check_rows"},
        {"aud": None},
        {"email": "somebody@else.iam.gserviceaccount.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"iss": "https://accounts.example.org"},
        {"iss": None},
        {"exp": int(NOW.timestamp()) - 60},
        {"exp": None},
        {"iat": int(NOW.timestamp()) + 86_400},
    ],
    ids=lambda changes: next(iter(changes)),  # not its times: every worker would name the test otherwise
)
def test_a_token_that_claims_anything_else_is_not(signer: Signer, changes: dict[str, Any]) -> None:
    with pytest.raises(Untrusted):
        taken(bearer(signer._signed(claims(**changes))), signer)


def unsigned(_: Signer) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}."


def signed_with_the_public_key(signer: Signer) -> str:
    ((key_id, public),) = signer.certificates().items()
    text = f"{part({'alg': 'HS256', 'kid': key_id, 'typ': 'JWT'})}.{part(claims())}"
    mac = hmac.digest(public.encode(), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def with_other_claims(signer: Signer) -> str:
    head, _, signature = signer.token(ACCOUNT, AUDIENCE).split(".")
    return f"{head}.{part(claims(exp=int(NOW.timestamp()) + 99_999))}.{signature}"


def of_another_issuer_of_the_same_name(signer: Signer) -> str:
    other = Signer(signer._path.parent / "other", lambda: NOW.timestamp())
    other._path.parent.mkdir(exist_ok=True)
    return other.token(ACCOUNT, AUDIENCE)


@pytest.mark.parametrize(
    "forged", [unsigned, signed_with_the_public_key, with_other_claims, of_another_issuer_of_the_same_name]
)
def test_a_forged_token_is_not_taken(signer: Signer, forged: Callable[[Signer], str]) -> None:
    with pytest.raises(Untrusted):
        taken(bearer(forged(signer)), signer)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer ", "Bearer x", "Basic eDp5", "Bearer a.b.c", f"Bearer {'x' * 9000}"]
)
def test_without_a_token_nothing_is_taken(signer: Signer, header: str | None) -> None:
    with pytest.raises(Untrusted):
        taken(header, signer)


@given(st.one_of(st.text(), st.lists(st.binary(max_size=40), min_size=3, max_size=3)))
def test_whatever_stands_in_the_header_is_an_answer(content: str | list[bytes]) -> None:
    text = (
        content if isinstance(content, str) else ".".join(base64.urlsafe_b64encode(each).decode() for each in content)
    )
    with pytest.raises(Untrusted):
        check(bearer(text), PUSHER, "notify", lambda _: {})


def test_keys_are_looked_up_once_an_hour_and_for_a_new_id_once_a_minute() -> None:
    looked: list[str] = []

    def door(effect: str, _act: Callable[[], Any]) -> Any:
        looked.append(effect)
        return {"a": "key"}

    keys = IssuersKeys("https://keys.example.org")
    for minutes in (0, 30, 59):
        keys.known("a", NOW + timedelta(minutes=minutes), door)
    assert looked == ["oidc.keys"]
    keys.known("a", NOW + timedelta(minutes=61), door)
    assert len(looked) == 2
    for seconds in (1, 30, 61, 62):
        keys.known("b", NOW + timedelta(minutes=61, seconds=seconds), door)
    assert len(looked) == 3


def test_a_function_that_asks_for_tokens_does_nothing_for_who_has_none() -> None:
    cloud = MemoryCloud({"SERIN_PUSH_ACCOUNT": ACCOUNT, "SERIN_PUSH_AUDIENCE": AUDIENCE})
    told = event("notifications")
    assert deliver(cloud, "notify", told.topic, Message(told.attributes(), told.data())) == 403
    assert (cloud.door.effects, cloud.state.keys(), cloud.bus.history) == ([], [], [])


def test_keys_that_cannot_be_had_put_the_delivery_off() -> None:
    def closed(_effect: str, _act: Callable[[], Any]) -> Any:
        raise Transient("oidc.keys", "status 503")

    with pytest.raises(Transient):
        keys_at("https://keys.example.org").known("1", NOW, closed)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SERIN_PUSH_ACCOUNT": ACCOUNT}, "together"),
        ({"SERIN_PUSH_AUDIENCE": AUDIENCE}, "together"),
        (
            {
                "SERIN_PUSH_ACCOUNT": ACCOUNT,
                "SERIN_PUSH_AUDIENCE": AUDIENCE,
                "SERIN_PUSH_KEYS_URL": "http://keys.example.org/",
            },
            "https",
        ),
    ],
)
def test_half_a_configuration_is_refused_at_the_start(variables: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        MemoryCloud({**VARIABLES, **variables})


def test_the_local_pub_sub_signs_what_functions_verify(tmp_path: Path) -> None:
    """Keys over HTTP, as the functions of a laptop get them."""
    from local.pubsub.server import running
    from shared.door import open_door

    with running(tmp_path) as server:
        signer = Signer(tmp_path, lambda: NOW.timestamp())
        found = keys_at(f"http://{server.host}/oauth2/v1/certs")
        header = bearer(signer.token(ACCOUNT, AUDIENCE))
        check(header, PUSHER, "notify", lambda key_id: found.known(key_id, NOW, open_door))
