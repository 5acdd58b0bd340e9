"""What nobody would send, and how every answer to it has to look."""

import os

import httpx
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("SERIN_FUZZ_EXAMPLES", "60"))
"""Short in the suite; `make fuzz` asks for more."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


def check_answer(reply: httpx.Response) -> None:
    """An answer, or a refusal in Google's form whose code is that of the reply; never a failure of the server."""
    assert reply.status_code < 500 or reply.status_code == 501, reply.text
    assert "Traceback" not in reply.text
    if reply.status_code >= 400:
        error = reply.json()["error"]
        assert error["code"] == reply.status_code
        assert error["message"]
