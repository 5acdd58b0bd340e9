"""A range of numbers as a regular expression: the decimals without sign and exponent that lie within it.

Digits compare from left to right, so a range is a few alternatives for each digit of its bounds: 18 to 120 are 18, 19,
[2-9][0-9], 1[0-1][0-9] with any fraction, and 120. Rounding keeps order: what a decimal lies between, its nearest float
does too.
"""

from decimal import Decimal

MAX_DIGITS = 20  # before the point: what whole numbers of 64 bits have; each costs when a pattern is made
NOTHING = r"[^\x00-\x{10ffff}]"
_ANY_FRACTION = r"(?:\.\d*)?"
_LARGEST = Decimal(10**MAX_DIGITS - 1)


def between(least: float, most: float | None) -> str:
    """Decimals from `least`, not negative, to `most`, both included, with at most 20 digits in front."""
    low = _exactly(least)
    high = _LARGEST if most is None else min(_exactly(most), _LARGEST)
    if low > high:
        return NOTHING
    (first, from_fraction), (last, to_fraction) = _parts(low), _parts(high)
    if first == last:
        return f"0*{first}{_fraction(from_fraction, to_fraction)}"
    choices = [f"{first}{_fraction(from_fraction, None)}", f"{last}{_fraction('', to_fraction)}"]
    if int(first) + 1 < int(last):
        choices.append(f"(?:{_whole(str(int(first) + 1), str(int(last) - 1))}){_ANY_FRACTION}")
    return f"0*(?:{'|'.join(choices)})"


def _exactly(bound: float) -> Decimal:
    """The decimal that the bound was written as; zero has no sign here."""
    return Decimal(repr(abs(float(bound))))


def _parts(bound: Decimal) -> tuple[str, str]:
    whole, _, fraction = f"{bound:f}".partition(".")
    return whole, fraction.rstrip("0")


def _fraction(low: str, high: str | None) -> str:
    """The point and digits of a fraction from one to another; any that is not smaller if there is no other."""
    if high is None:
        return rf"\.{_from(low)}" if low else _ANY_FRACTION
    return rf"\.{_digits(low, high)}" if low else rf"(?:\.{_to(high)})?"


def _digits(low: str, high: str) -> str:
    if not low:
        return _to(high)
    if low[0] == high[0]:
        return low[0] + _digits(low[1:], high[1:])
    return f"(?:{low[0]}{_from(low[1:])}|{high[0]}{_to(high[1:])}{_then(int(low[0]) + 1, int(high[0]) - 1)})"


def _from(low: str) -> str:
    return rf"(?:{low[0]}{_from(low[1:])}{_then(int(low[0]) + 1, 9)})" if low else r"\d*"


def _to(high: str) -> str:
    return rf"(?:{high[0]}{_to(high[1:])}{_then(0, int(high[0]) - 1)})?" if high else "0*"


def _then(first: int, last: int) -> str:
    """One more choice: a digit between these, and any digits."""
    return rf"|[{first}-{last}]\d*" if first <= last else ""


def _whole(first: str, last: str) -> str:
    """Whole numbers without leading zeros."""
    if len(first) == len(last):
        return _as_long(first, last)
    choices = [_as_long(first, "9" * len(first)), _as_long("1" + "0" * (len(last) - 1), last)]
    if len(first) + 1 < len(last):
        choices.append(rf"[1-9]\d{{{len(first)},{len(last) - 2}}}")
    return "|".join(choices)


def _as_long(first: str, last: str) -> str:
    """Numbers between two that have as many digits."""
    rest = len(first) - 1
    if set(first) <= {"0"} and set(last) <= {"9"}:
        return rf"\d{{{rest + 1}}}" if first else ""
    if first[0] == last[0]:
        return first[0] + _as_long(first[1:], last[1:])
    choices, low, high = [], int(first[0]), int(last[0])
    if first[1:] != "0" * rest:
        choices.append(first[0] + _as_long(first[1:], "9" * rest))
        low += 1
    if last[1:] != "9" * rest:
        choices.append(last[0] + _as_long("0" * rest, last[1:]))
        high -= 1
    if low <= high:
        choices.append(rf"[{low}-{high}]\d{{{rest}}}")
    return f"(?:{'|'.join(choices)})"
