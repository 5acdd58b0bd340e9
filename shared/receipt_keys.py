"""The keys that sign receipts: numbered, create-only, changed by age or by a person; an old one still verifies.

keys/receipts/1 ── 90 days, or `serin receipts rotate` ──► keys/receipts/2 ──► …
      └ versions staged meanwhile sign with it for as long as they serve; labels that come later are verified with it
"""

import secrets
from datetime import datetime, timedelta

from shared.store import Entry, Store

PREFIX = "keys/receipts/"
LIFE = timedelta(days=90)
_BYTES = 32


def current(state: Store, now: datetime) -> str:
    """The place in the state bucket of the key that a version staged now signs with; made if none stands or it is old.

    Whoever makes one beside somebody else works with the one that stands.
    """
    newest = _newest(state)
    if newest is not None and now - newest.created < LIFE:
        return newest.key
    return _after(newest, state)


def rotate(state: Store) -> str:
    """Makes the next key and answers its place: what is staged from now on signs with it."""
    return _after(_newest(state), state)


def _newest(state: Store) -> Entry | None:
    numbered = [entry for entry in state.entries(PREFIX) if entry.key.removeprefix(PREFIX).isdecimal()]
    return max(numbered, key=lambda entry: int(entry.key.removeprefix(PREFIX)), default=None)


def _after(newest: Entry | None, state: Store) -> str:
    number = int(newest.key.removeprefix(PREFIX)) if newest else 0
    key = f"{PREFIX}{number + 1}"
    state.create(key, secrets.token_hex(_BYTES).encode())
    return key
