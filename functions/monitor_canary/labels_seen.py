"""Which receipts have been counted, small enough to be carried from one closed interval to the next.

A reporter numbers its predictions densely, so what was seen is a bit per prediction, in blocks of 8,192 of which only
those that a batch touches are ever opened.
"""

import base64
import zlib
from collections.abc import Mapping

_BLOCK_BITS = 8192
Kept = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Deployment → reporter → number of a block → the block's bits, compressed."""


class LabelsSeen:
    """The receipts counted so far; `to_json` is what to keep."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._open: dict[tuple[str, str, str], bytearray] = {}

    def add(self, deployment: str, reporter: str, sequence: int) -> bool:
        """Counts a receipt; answers whether it was new."""
        block, bit = divmod(sequence, _BLOCK_BITS)
        bits = self._block(deployment, reporter, str(block))
        place, mask = bit >> 3, 1 << (bit & 7)
        if bits[place] & mask:
            return False
        bits[place] |= mask
        return True

    def to_json(self) -> dict[str, dict[str, dict[str, str]]]:
        """Everything that was counted, untouched blocks as they came."""
        kept = {
            name: {reporter: dict(blocks) for reporter, blocks in each.items()} for name, each in self._kept.items()
        }
        for (deployment, reporter, block), bits in self._open.items():
            packed = base64.b64encode(zlib.compress(bytes(bits), 1)).decode()
            kept.setdefault(deployment, {}).setdefault(reporter, {})[block] = packed
        return kept

    def _block(self, deployment: str, reporter: str, block: str) -> bytearray:
        key = (deployment, reporter, block)
        if key not in self._open:
            packed = self._kept.get(deployment, {}).get(reporter, {}).get(block)
            bits = bytearray(_BLOCK_BITS // 8) if packed is None else zlib.decompress(base64.b64decode(packed))
            self._open[key] = bytearray(bits)
        return self._open[key]
