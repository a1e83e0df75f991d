"""SYN cookies: SYN-ACKs for which nothing is kept, because their numbers say what the SYN said (RFC 4987 §3.6, EST-16).

The ISN holds the MSS and a proof, the low bits of the timestamp window scaling and SACK; the option's own values come
from a keyed function and come back in the third ACK (X1, `tioption.handshake.KeyedAnswers`).
"""

from __future__ import annotations

from typing import Final

from tioption.capture.segment import SYN
from tioption.endpoint.numbers import Numbers
from tioption.endpoint.wire import TcpSegment
from tioption.option import Tifid
from tioption.packet import Ports
from tioption.seq import SEQ32

_MSS: Final = (536, 1220, 1300, 1360, 1400, 1440, 1452, 1460)
_AGE: Final = 64_000_000_000
_LIFETIME: Final = 2 * _AGE
_STAMP_BITS: Final = 6
_NO_SCALE: Final = 15


class SynCookies:
    """The cookies of one host, and the few that came back lately, for each opens one connection and no more."""

    def __init__(self, numbers: Numbers, limit: int) -> None:
        """Make proofs from `numbers`; remember at most `limit` cookies that came back."""
        self._numbers = numbers
        self._limit = limit
        self._until = 0
        self._returned: dict[Ports, tuple[int, int]] = {}

    def isn(self, ports: Ports, syn: TcpSegment, now: int) -> int | None:
        """The ISN that answers a SYN: 5 bits of time, 3 of MSS, 24 of proof.

        A SYN sent again without the option gets another, for no retransmission may change the option (EST-09). None
        where the SYN is a late copy of one whose handshake is over.
        """
        returned = self._returned.get(ports)
        if returned is not None and returned[0] == SEQ32.add(syn.seq, 1) and now - returned[1] <= _LIFETIME:
            return None
        self._until = now + _LIFETIME
        size = max((at for at, mss in enumerate(_MSS) if mss <= (syn.mss or _MSS[0])), default=0)
        return self._proven(ports, syn.seq, now // _AGE, size, offered=syn.option is not None)

    def _proven(self, ports: Ports, isn: int, age: int, size: int, *, offered: bool) -> int:
        more = isn.to_bytes(4, "big") + age.to_bytes(8, "big") + bytes((size, offered))
        return (age & 31) << 27 | size << 24 | self._numbers.word(b"cookie", ports, more) >> 8

    @staticmethod
    def stamp(clock: int, syn: TcpSegment) -> int:
        """A TSval a little before the clock, whose low bits keep window scale and SACK-permitted of the SYN."""
        shift = syn.window_scale if syn.window_scale is not None else _NO_SCALE
        stamp = clock & ~((1 << _STAMP_BITS) - 1) | shift << 1 | syn.sack_permitted
        return stamp if stamp <= clock else SEQ32.add(stamp, -(1 << _STAMP_BITS))

    def syn(self, ports: Ports, ack: TcpSegment, now: int) -> TcpSegment | None:
        """The SYN whose handshake a third segment completes, None where it brings back no cookie of ours."""
        returned = self._returned.get(ports)
        if now >= self._until or (returned is not None and now - returned[1] <= _LIFETIME):
            return None
        isn, age = SEQ32.add(ack.ack, -1), now // _AGE
        size = isn >> 24 & 7
        first = SEQ32.add(ack.seq, -1)
        tried = ((back, offered) for back in (0, 1) for offered in (True, False) if age >= back)
        if not any(self._proven(ports, first, age - back, size, offered=offered) == isn for back, offered in tried):
            return None
        bits = ack.timestamps[1] if ack.timestamps is not None else _NO_SCALE << 1
        shift = bits >> 1 & 15
        option = ack.option
        if option is not None:
            option = option.replace(tifid=Tifid.from_halves(option.tifid.first), tiack=0)
        return TcpSegment(
            first,
            0,
            SYN,
            ack.window,
            mss=_MSS[size],
            window_scale=None if shift == _NO_SCALE else shift,
            sack_permitted=bool(bits & 1),
            timestamps=(ack.timestamps[0], 0) if ack.timestamps is not None else None,
            option=option,
        )

    def came_back(self, ports: Ports, ack: TcpSegment, now: int) -> None:
        """A connection was made of a cookie: late copies of its segments shall not make another."""
        self._returned.pop(ports, None)
        self._returned[ports] = ack.seq, now
        if len(self._returned) > self._limit:
            del self._returned[next(iter(self._returned))]
