"""What links do to packets, whatever is in them: lose, repeat, reorder and delay them, queue them, flip bits.

Nothing here knows the option: it is what TCP is for. But a lost third ACK leaves its hosts of two minds (EST-12,
EST-10), a late SYN of a resume must not wake anything (RES-17), and the checksum does not find every flipped bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from tioption.capture.segment import SYN
from tioption.middlebox.box import Emitted, Middlebox, SegmentBox, Way, passed, segment_name
from tioption.middlebox.packet import Packet
from tioption.middlebox.parameters import BITS, SHARE, TIME, WAY, YES, Parameter, choice, whole
from tioption.middlebox.registry import box

_ON: Final = Parameter("way", WAY, "both", "On which way.", ("both", "ab", "ba"))
_NAMES: Final = ("any", "syn", "syn-ack", "ack", "data")
_SECOND: Final = 1_000_000_000


def _is(segment: Packet, name: str) -> bool:
    """Whether a segment is one of _NAMES: here `ack` has no payload, and `data` has."""
    if name == "data":
        return bool(segment.payload)
    if name == "ack":
        return not segment.payload and not segment.flags & SYN
    return name in {"any", segment_name(segment)}


@box(
    "lose",
    "Loses segments.",
    Parameter("rate", SHARE, "5%", "How many of them, by chance.", ("1%", "5%", "20%")),
    Parameter("segment", choice(*_NAMES), "any", "Which: ack without payload, data with.", _NAMES),
    Parameter("count", whole(1, 1 << 30), None, "How many at most; then all pass."),
    _ON,
    rules=("EST-10", "EST-12", "EST-13", "MAP-03", "RES-07"),
    needs=("random",),
)
class Lose(SegmentBox):
    """Loses segments, each by chance; `lose:100%,segment=ack,count=1` loses the third ACK of a handshake."""

    def __init__(self, *, rate: float, segment: str, count: int | None, way: str, random: Random) -> None:
        """Lose a share of the segments of a name, `count` of them at most."""
        self._rate = rate
        self._segment = segment
        self._left = count
        self._way = way
        self._random = random

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Lose it or let it pass."""
        meant = self._way in {"both", way} and _is(segment, self._segment)
        if meant and self._left != 0 and self._random.random() < self._rate:
            if self._left is not None:
                self._left -= 1
            return
        yield passed(segment, way)


class _ByChance(Middlebox):
    """Does something to some packets, each by chance; all others pass."""

    def __init__(self, rate: float, way: str, random: Random) -> None:
        self._rate = rate
        self._way = way
        self._random = random

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """Do it, or let the packet pass."""
        if self._way in {"both", way} and self._random.random() < self._rate:
            return self.happen(packet, way)
        return [Emitted(0, way, packet)]

    def happen(self, packet: bytes, way: Way) -> list[Emitted]:
        """What becomes of a packet to which it happens."""
        raise NotImplementedError


@box(
    "duplicate",
    "Repeats packets.",
    Parameter("rate", SHARE, "5%", "How many of them, by chance.", ("5%", "50%")),
    Parameter("after", TIME, "1ms", "How much later the copy comes.", ("0ms", "1ms", "300ms")),
    _ON,
    rules=("EST-09", "EST-10", "RES-17"),
    needs=("random",),
)
class Duplicate(_ByChance):
    """Repeats packets, as links with their own retransmission do, and misconfigured mirrors."""

    def __init__(self, *, rate: float, after: int, way: str, random: Random) -> None:
        """Repeat a share of the packets `after` so many nanoseconds."""
        super().__init__(rate, way, random)
        self._after = after

    def happen(self, packet: bytes, way: Way) -> list[Emitted]:
        """The packet twice."""
        return [Emitted(0, way, packet), Emitted(self._after, way, packet)]


@box(
    "reorder",
    "Lets packets overtake others.",
    Parameter("rate", SHARE, "5%", "How many are late, by chance.", ("5%", "30%")),
    Parameter("by", TIME, "5ms", "How late they are.", ("1ms", "5ms", "50ms")),
    _ON,
    rules=("MAP-09", "RES-17"),
    needs=("random",),
)
class Reorder(_ByChance):
    """Holds some packets back, as parallel paths and link-layer retransmission do."""

    def __init__(self, *, rate: float, by: int, way: str, random: Random) -> None:
        """Hold a share of the packets back by so many nanoseconds."""
        super().__init__(rate, way, random)
        self._by = by

    def happen(self, packet: bytes, way: Way) -> list[Emitted]:
        """The packet, late."""
        return [Emitted(self._by, way, packet)]


class _Latest:
    """By way: a time after which the next packet's begins; forgotten where a clock is set back."""

    def __init__(self) -> None:
        self._times: dict[Way, tuple[int, int]] = {}

    def get(self, way: Way, now_ns: int) -> int:
        """The time kept last for a way, or now."""
        entered, time_ns = self._times.get(way, (now_ns, now_ns))
        return time_ns if entered <= now_ns else now_ns

    def keep(self, way: Way, now_ns: int, time_ns: int) -> None:
        """Keep a time."""
        self._times[way] = now_ns, time_ns


@box(
    "delay",
    "Delays packets.",
    Parameter("time", TIME, "10ms", "By how much.", ("1ms", "10ms", "100ms")),
    Parameter("jitter", TIME, "0ms", "By how much more at most, evenly spread.", ("0ms", "5ms")),
    Parameter("order", YES, "yes", "Whether packets stay in order in spite of the jitter.", ("yes", "no")),
    _ON,
    needs=("random",),
)
class Delay(Middlebox):
    """Delays packets by the length of a path."""

    def __init__(self, *, time: int, jitter: int, order: bool, way: str, random: Random) -> None:
        """Delay by `time` and up to `jitter` nanoseconds more."""
        self._time = time
        self._jitter = jitter
        self._order = order
        self._way = way
        self._random = random
        self._last = _Latest()

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """The packet, later."""
        if self._way not in {"both", way}:
            return [Emitted(0, way, packet)]
        arrival = now_ns + self._time + (self._random.randint(0, self._jitter) if self._jitter else 0)
        if self._order:
            arrival = max(arrival, self._last.get(way, now_ns))
            self._last.keep(way, now_ns, arrival)
        return [Emitted(arrival - now_ns, way, packet)]


@box(
    "queue",
    "Queues packets before a slow link, and drops what does not fit.",
    Parameter("rate", BITS, "10M", "How fast the link is.", ("256k", "2M", "10M")),
    Parameter("size", whole(1500, 1 << 30), "65536", "Octets that may wait.", ("20000", "65536")),
    _ON,
)
class Queue(Middlebox):
    """A link of finite rate with a drop-tail queue: each packet waits for those before it, then takes its own time."""

    def __init__(self, *, rate: int, size: int, way: str) -> None:
        """Send `rate` bits a second each way; at most `size` octets wait."""
        self._rate = rate
        self._size = size
        self._way = way
        self._free = _Latest()
        """When the last packet of a way will have left."""

    def process(self, packet: bytes, way: Way, now_ns: int) -> list[Emitted]:
        """The packet when it has been sent, or nothing where the queue is full."""
        if self._way not in {"both", way}:
            return [Emitted(0, way, packet)]
        begin = max(now_ns, self._free.get(way, now_ns))
        waiting = (begin - now_ns) * self._rate // (8 * _SECOND)
        if waiting + len(packet) > self._size and waiting:
            return []
        end = begin + len(packet) * 8 * _SECOND // self._rate
        self._free.keep(way, now_ns, end)
        return [Emitted(end - now_ns, way, packet)]


def _flip_options(segment: Packet, flip: Callable[[bytes], bytes]) -> None:
    segment.options = flip(segment.options)


def _flip_payload(segment: Packet, flip: Callable[[bytes], bytes]) -> None:
    segment.payload = flip(segment.payload)


@box(
    "flip",
    "Flips bits.",
    Parameter("rate", SHARE, "1%", "In how many segments, by chance.", ("1%", "10%")),
    Parameter("where", choice("payload", "options"), "payload", "In which part.", ("payload", "options")),
    Parameter("bits", whole(1, 64), "1", "How many in a segment.", ("1",)),
    Parameter("fix", YES, "no", "Whether the checksum is made right again.", ("no",)),
    _ON,
    rules=("MBX-05",),
    needs=("random",),
)
class Flip(SegmentBox):
    """Flips bits: a defective link, or with `fix` a box that does it in memory and then computes the checksum anew.

    Stone and Partridge (SIGCOMM 2000) found such errors in one of 1,100 to 32,000 packets.
    """

    def __init__(self, *, rate: float, where: str, bits: int, fix: bool, way: str, random: Random) -> None:
        """Flip `bits` bits in the payload or in the option area of a share of the segments."""
        self._rate = rate
        self._flip = _flip_payload if where == "payload" else _flip_options
        self._bits = bits
        self._fix = fix
        self._way = way
        self._random = random

    def on_segment(self, segment: Packet, way: Way, now_ns: int) -> Iterator[Emitted]:
        """Damage it by chance."""
        if self._way not in {"both", way} or self._random.random() >= self._rate:
            yield passed(segment, way)
            return
        before = segment.copy()
        self._flip(segment, self._damaged)
        if self._fix:
            yield passed(segment, way, changed=True)
        else:
            # The checksum of the octets as they were stands over those they have become.
            octets = before.encode()
            at = len(octets) - len(segment.payload) - len(segment.options)
            yield Emitted(0, way, octets[:at] + segment.options + segment.payload)

    def _damaged(self, octets: bytes) -> bytes:
        if not octets:
            return octets
        number = int.from_bytes(octets, "big")
        # Distinct ones, for two flips of one bit are none.
        for bit in self._random.sample(range(8 * len(octets)), min(self._bits, 8 * len(octets))):
            number ^= 1 << bit
        return number.to_bytes(len(octets), "big")
