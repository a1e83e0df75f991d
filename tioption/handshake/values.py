"""Where a host's identifiers and initial positions come from: a random source, or a keyed function that needs no state.

Nothing here is random of itself: the source of bits and the secret are handed in (EST-01, EST-02, EST-04, EST-16,
SEC-01).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple, Protocol

from tioption.layout import EXPERIMENTS
from tioption.option import FlowOption

RandomBits = Callable[[int], int]
"""As many random bits as asked for, as an integer; `secrets.randbits` on a live host, a seeded one in tests."""

_LEAST_POSITION = 1 << 16
_EXID_PREFIXES = frozenset(int.from_bytes(exid[:2], "big") for _, _, exid, *_ in EXPERIMENTS)


class Handle(NamedTuple):
    """What an answerer knows of a SYN beside its option: the addresses and ports as octets, and the ISN."""

    addresses: bytes
    isn: int


class AnswerValues(Protocol):
    """What an answerer adds to a new flow: the second half of the TIFID, 24 bits, and its initial position, 48."""

    def answer(self, offer: FlowOption, handle: Handle, attempt: int) -> tuple[int, int]:
        """Both values; `attempt` counts up from 0 while the TIFID they complete is already in use (SEC-02)."""
        ...


def first_half(bits: RandomBits) -> int:
    """A first half: 24 random bits, not zero and not like a known experiment (EST-01, OPT-06, OPT-12)."""
    while True:
        half = bits(24)
        if half and half >> 8 not in _EXID_PREFIXES:
            return half


def initial_position(bits: RandomBits) -> int:
    """An initial position: 48 random bits, none of the few small ones that look guessable (EST-02)."""
    while True:
        position = bits(48)
        if position >= _LEAST_POSITION:
            return position


class RandomAnswers:
    """Answers from a random source: the host has to remember them until the third ACK."""

    def __init__(self, bits: RandomBits) -> None:
        """Draw from `bits`."""
        self._bits = bits

    def answer(self, offer: FlowOption, handle: Handle, attempt: int) -> tuple[int, int]:  # noqa: ARG002
        """Fresh values at each call."""
        while not (second := self._bits(24)):
            pass
        return second, initial_position(self._bits)


class KeyedAnswers:
    """Answers from a secret (X1): the third ACK repeats all that is needed to compute them again (EST-16).

    h2 and S0 are the first octets of BLAKE2b, keyed with the secret, over addresses, ports, ISN, variant, h1 and S0 of
    the SYN. Every retransmitted SYN-ACK is identical, and nothing has to be kept before the third ACK.
    """

    def __init__(self, secret: bytes) -> None:
        """Take a secret of 16 to 64 octets; raises ValueError for any other size."""
        if not 16 <= len(secret) <= 64:
            raise ValueError(f"expected a secret of 16 to 64 octets, found {len(secret)}")
        self._secret = secret

    def answer(self, offer: FlowOption, handle: Handle, attempt: int) -> tuple[int, int]:
        """The same values for the same SYN."""
        message = b"".join(
            (
                handle.addresses,
                handle.isn.to_bytes(4, "big"),
                offer.variant.value.encode(),
                offer.tifid.first.to_bytes(3, "big"),
                offer.tiseq.to_bytes(6, "big"),
                attempt.to_bytes(2, "big"),
            )
        )
        digest = blake2b(message, key=self._secret, digest_size=16).digest()
        second = int.from_bytes(digest[:3], "big") or 1
        position = int.from_bytes(digest[3:9], "big")
        return second, position if position >= _LEAST_POSITION else position + _LEAST_POSITION
