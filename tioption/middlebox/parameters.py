"""Typed parameters of boxes, as words of the command line: `how=rst`, `timeout=2s`, `rate=5%`.

A kind of parameter reads a text or raises ValueError with a phrase of what it expects.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

_TIMES: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_SCALES: Final = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


class Kind(NamedTuple):
    """A kind of value: what is expected, in words, and how a text is read."""

    expects: str
    read: Callable[[str], Any]


class Parameter(NamedTuple):
    """A parameter of a box; `default` and the values in `usual` are texts, `default` is None where it may be absent.

    Random chains draw from `usual`; where it is empty, or "" is drawn, they leave the default.
    """

    name: str
    kind: Kind
    default: str | None
    text: str
    usual: tuple[str, ...] = ()

    def value(self, text: str | None) -> Any:
        """The value of a text, None of None; raises ValueError with what was expected and found."""
        if text is None:
            return None
        try:
            return self.kind.read(text)
        except (ValueError, KeyError):
            raise ValueError(f"{self.name}: expected {self.kind.expects}, found {text!r}") from None


def choice(*words: str) -> Kind:
    """One of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind(" or ".join(words), read)


def whole(least: int, most: int) -> Kind:
    """A whole number between two bounds, hexadecimal after 0x."""

    def read(text: str) -> int:
        number = int(text, 0)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return Kind(f"a whole number from {least} to {most}", read)


def _number(text: str) -> float:
    if not text[:1].isdigit():
        raise ValueError(text)
    number = float(text)
    if not 0 <= number < 1e15:
        raise ValueError(text)
    return number


def _time(text: str) -> int:
    digits = text.rstrip("nusmh")
    return round(_number(digits) * _TIMES[text[len(digits) :]])


def _share(text: str) -> float:
    share = _number(text[:-1]) / 100 if text.endswith("%") else _number(text)
    if share > 1:
        raise ValueError(text)
    return share


def _bits(text: str) -> int:
    plain = text.removesuffix("bit")
    digits = plain.rstrip("kMG")
    bits = round(_number(digits) * _SCALES[plain[len(digits) :]])
    if not bits:
        raise ValueError(text)
    return bits


def _yes(text: str) -> bool:
    return {"yes": True, "no": False}[text]


TIME: Final = Kind("a time such as 10ms or 2s", _time)
"""Nanoseconds."""
SHARE: Final = Kind("a share such as 5% or 0.05", _share)
"""A probability."""
BITS: Final = Kind("bits a second such as 512k or 10Mbit", _bits)
YES: Final = Kind("yes or no", _yes)
ADDRESS: Final = Kind("an IPv4 or IPv6 address", ip_address)
WAY: Final = choice("both", "ab", "ba")
"""On which ways a box acts."""
