"""Numbers that strangers cannot guess, from a secret: ISNs, the beginnings of timestamps, SYN cookies.

Sources: RFC 6528 (ISNs), RFC 7323 §5.4 (timestamps), RFC 4987 §3.6 (SYN cookies; EST-16).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from tioption.endpoint.wire import TcpSegment
from tioption.packet import Ports
from tioption.seq import SEQ32

_COOKIE_MSS: Final = (536, 1220, 1300, 1360, 1400, 1440, 1452, 1460)
_COOKIE_AGE: Final = 64_000_000_000
_STAMP_BITS: Final = 6
_NO_SCALE: Final = 15


class Cookie(NamedTuple):
    """What a SYN cookie gives back of the SYN."""

    mss: int
    window_scale: int | None
    sack_permitted: bool


class Numbers:
    """The numbers of one host."""

    def __init__(self, secret: bytes) -> None:
        """Take a secret of 16 to 64 octets; raises ValueError for any other size."""
        if not 16 <= len(secret) <= 64:
            raise ValueError(f"expected a secret of 16 to 64 octets, found {len(secret)}")
        self._secret = secret

    def _word(self, purpose: bytes, ports: Ports, more: bytes = b"") -> int:
        sport, dport = ports.sport.to_bytes(2, "big"), ports.dport.to_bytes(2, "big")
        message = b"".join((ports.source, ports.destination, sport, dport, more))
        return int.from_bytes(blake2b(message, key=self._secret, digest_size=4, person=purpose).digest(), "big")

    def isn(self, ports: Ports, now: int) -> int:
        """An initial sequence number: a clock of 4 µs and a secret offset a 4-tuple (RFC 6528 §3)."""
        return SEQ32.add(self._word(b"isn", ports), now // 4000)

    def clock_offset(self, ports: Ports) -> int:
        """Where the timestamps of a connection begin."""
        return self._word(b"timestamps", ports)

    # A SYN-ACK for which nothing is kept: its numbers say what the SYN said.

    def cookie(self, ports: Ports, syn: TcpSegment, now: int) -> int:
        """The ISN of a SYN-ACK that keeps nothing: 5 bits of time, 3 of MSS, 24 of proof.

        A SYN sent again without the option gets another, for no retransmission may change the option (EST-09).
        """
        size = max((at for at, mss in enumerate(_COOKIE_MSS) if mss <= (syn.mss or 536)), default=0)
        return self._cookie(ports, syn.seq, now // _COOKIE_AGE, size, syn.option is not None)

    def _cookie(self, ports: Ports, isn: int, minute: int, size: int, offered: bool) -> int:
        proof = self._word(b"cookie", ports, isn.to_bytes(4, "big") + minute.to_bytes(8, "big") + bytes((size, offered)))
        return (minute & 31) << 27 | size << 24 | proof >> 8

    def cookie_stamp(self, clock: int, syn: TcpSegment) -> int:
        """A TSval whose low bits keep window scale and SACK-permitted of the SYN."""
        shift = syn.window_scale if syn.window_scale is not None else _NO_SCALE
        return SEQ32.add(clock & ~((1 << _STAMP_BITS) - 1), shift << 1 | syn.sack_permitted)

    def check(self, ports: Ports, ack: TcpSegment, now: int) -> Cookie | None:
        """What the third ACK of a handshake brings back, None where it acknowledges no cookie of ours."""
        isn, minute = SEQ32.add(ack.ack, -1), now // _COOKIE_AGE
        size = isn >> 24 & 7
        for age, offered in ((0, True), (0, False), (1, True), (1, False)):
            if minute >= age and self._cookie(ports, SEQ32.add(ack.seq, -1), minute - age, size, offered) == isn:
                bits = ack.timestamps[1] & ((1 << _STAMP_BITS) - 1) if ack.timestamps is not None else _NO_SCALE << 1
                shift = bits >> 1 & 15
                return Cookie(_COOKIE_MSS[size], None if shift == _NO_SCALE else shift, bool(bits & 1))
        return None
