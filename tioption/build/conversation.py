"""Conversations as two hosts would hold them, segment by segment: established, broken, resumed, and wrong on purpose.

A `Conversation` keeps what the flow remembers: identifier, initial positions, both streams. A `Transport` is one TCP
connection of it. Whatever is not said is done as the rules ask; whatever is said is done, right or wrong. Times, ports
and numbers derive from a seed, so that the same calls make the same capture (§III; EST, MAP, RES).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple

from tioption.build.capture_file import pcap
from tioption.build.packet import NOP, SACK_PERMITTED, Host, TcpHeader, mss, tcp_frame, timestamps, window_scale
from tioption.capture.segment import ACK, FIN, PSH, RST, SYN
from tioption.layout import SYN_LAYOUTS
from tioption.option import DEFAULT_KINDS, FlowOption, Kinds, Tifid, Variant, experiment_of
from tioption.seq import SEQ32, SEQ48

Side = Literal["A", "B"]
"""A opened the flow, B answered."""

OptionChoice = FlowOption | bytes | None | Callable[[FlowOption], "FlowOption | bytes | None"]
"""What stands in place of the option the rules ask for: another option, raw octets, nothing, or a change of it."""

MS: Final = 1_000_000
_WINDOW_SHIFT: Final = 7


class Sent(NamedTuple):
    """One segment as a host sent it, or as a path made it arrive."""

    time_ns: int
    side: Side
    source: Host
    destination: Host
    header: TcpHeader
    payload: bytes = b""

    @property
    def frame(self) -> bytes:
        """The Ethernet frame around it."""
        return tcp_frame(
            self.source, self.destination, self.header, self.payload, identification=self.header.seq & 0xFFFF
        )


PathEffect = Callable[[Sent], Sent | Sequence[Sent] | None]
"""What a path does to a segment: hand it on, changed or not, lose it, or split it into several."""


class Observed(NamedTuple):
    """One segment at the three places it can be captured; None where it did not get there."""

    at_a: Sent | None
    at_b: Sent | None
    sent: Sent
    """On the path between them: as it was sent, or a piece of that where the path splits it."""

    @property
    def arrived(self) -> Sent | None:
        """What its receiver sees of it."""
        return self.at_b if self.sent.side == "A" else self.at_a


@dataclass
class Stream:
    """One direction of the flow: its initial position, all octets its sender has sent, how many the other side has."""

    s0: int
    octets: bytearray = field(default_factory=bytearray)
    received: int = 0

    @property
    def sent_position(self) -> int:
        """Position of the next new byte (MAP-01)."""
        return SEQ48.add(self.s0, len(self.octets))

    @property
    def received_position(self) -> int:
        """Position of the next byte the other side expects (MAP-02)."""
        return SEQ48.add(self.s0, self.received)


class Tape:
    """What was sent so far, and the time: one for all conversations that share a capture."""

    def __init__(self, seed: int) -> None:
        """Start at a time of the seed's choice."""
        self.random = Random(seed)  # noqa: S311  a capture is made, not a secret
        self.now = 1_700_000_000_000 * MS + self.random.randrange(1000) * MS
        self.observed: list[Observed] = []
        self.expected: list[tuple[str, int]] = []


class Conversation:
    """A TI-flow between two hosts, from its first SYN to its last transport.

    `seed` decides every number that is not given. `layout` names the systems whose SYN options A and B send (keys of
    `tioption.layout.SYN_LAYOUTS`). `rtt` is in nanoseconds. The attribute
    `path` is what happens between the hosts. Conversations with one `tape` are captured together.
    """

    def __init__(  # noqa: PLR0913  each is a choice of its own, and has a default
        self,
        seed: int = 1,
        *,
        a: str = "192.0.2.1",
        b: str = "198.51.100.2",
        port: int = 443,
        variant: Variant = Variant.FLOW_D,
        layout: tuple[str, str] = ("Linux", "Linux"),
        kinds: Kinds = DEFAULT_KINDS,
        rtt: int = 20 * MS,
        tape: Tape | None = None,
    ) -> None:
        """Choose identifier, initial positions and addresses; nothing is sent yet."""
        self.tape = tape or Tape(seed)
        self.random = self.tape.random
        self.a = Host(a, 0, bytes.fromhex("02000000000a"))
        self.b = Host(b, port, bytes.fromhex("02000000000b"), ttl=57)
        self.variant = variant
        self.layout: dict[Side, str] = {"A": layout[0], "B": layout[1]}
        self.kinds = kinds
        self.rtt = rtt
        self.tifid = self._identifier()
        self.streams: dict[Side, Stream] = {"A": Stream(self._position()), "B": Stream(self._position())}
        self.path: PathEffect = lambda sent: sent

    @property
    def now(self) -> int:
        """Nanoseconds since 1970 at which the next segment is sent."""
        return self.tape.now

    @property
    def observed(self) -> list[Observed]:
        """Every segment sent so far, those of other conversations on the same tape included."""
        return self.tape.observed

    @property
    def expected(self) -> list[tuple[str, int]]:
        """Rules broken on purpose so far, each with the frame that breaks it."""
        return self.tape.expected

    def _identifier(self) -> Tifid:
        """Random halves, neither zero, the first not like a known experiment (EST-01, EST-04, OPT-12)."""
        while True:
            tifid = Tifid.from_halves(self.random.randrange(1, 1 << 24), self.random.randrange(1, 1 << 24))
            option = FlowOption(self.variant, tifid, 0, 0).encode(self.kinds)
            if experiment_of(option) is None and not any(
                experiment_of(option[:1] + bytes((length,)) + option[2:]) for length in range(4, 21)
            ):
                return tifid

    def _position(self) -> int:
        """A random initial position that nobody would call guessable (EST-02)."""
        return self.random.randrange(1 << 32, 1 << 48)

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.tape.now += nanoseconds

    def transport(self, *, client: Host | None = None, resuming: bool = False) -> Transport:
        """A TCP connection to B that has not begun, from a fresh port of A or from another host."""
        client = client or self.a._replace(port=self.random.randrange(32768, 61000))
        transport = Transport(self, client, self.b)
        transport.resuming = resuming
        return transport

    def connect(
        self,
        *,
        syn: OptionChoice | Literal["ruled"] = "ruled",
        syn_ack: OptionChoice | Literal["ruled"] = "ruled",
        ack: OptionChoice | Literal["ruled"] = "ruled",
        client: Host | None = None,
    ) -> Transport:
        """Open the flow's first transport: three segments, each with the option the rules ask for or the one given."""
        return self.transport(client=client).handshake(syn, syn_ack, ack)

    def resume(
        self,
        *,
        syn: OptionChoice | Literal["ruled"] = "ruled",
        syn_ack: OptionChoice | Literal["ruled"] = "ruled",
        ack: OptionChoice | Literal["ruled"] = "ruled",
        client: Host | None = None,
        by: Side = "A",
    ) -> Transport:
        """Open the next transport, from a fresh port or another address, and place it in both streams (R1)."""
        transport = self.transport(client=client, resuming=True) if by == "A" else self._backward()
        return transport.handshake(syn, syn_ack, ack)

    def _backward(self) -> Transport:
        """A transport that B opens to A (RES-18)."""
        client = self.b._replace(port=self.random.randrange(32768, 61000))
        transport = Transport(self, client, self.a._replace(port=self.b.port))
        transport.opener = "B"
        transport.resuming = True
        return transport

    def expect(self, *rules: str) -> None:
        """Note that the segment sent last breaks these rules on purpose."""
        self.expected.extend((rule, len(self.observed)) for rule in rules)

    def frames(self, at: Literal["A", "B", "path"] = "path") -> Iterator[tuple[int, bytes]]:
        """Time and frame of every segment as A's host, B's host or the path between them sees it, in order of time."""
        places = {"A": 0, "B": 1, "path": 2}
        seen = [sent for observed in self.observed if (sent := observed[places[at]]) is not None]
        for sent in sorted(seen, key=lambda sent: sent.time_ns):
            yield sent.time_ns, sent.frame

    def pcap(self, at: Literal["A", "B", "path"] = "path") -> bytes:
        """The octets of a capture file of the conversation."""
        return pcap(self.frames(at))

    def write(self, path: str | Path, at: Literal["A", "B", "path"] = "path") -> None:
        """Write the capture to a file."""
        Path(path).write_bytes(self.pcap(at))


class Transport:
    """One TCP connection of a conversation: its ends, its initial sequence numbers, its place in both streams."""

    def __init__(self, conversation: Conversation, client: Host, server: Host) -> None:
        """Choose initial sequence numbers and timestamp clocks; nothing is sent yet."""
        random = conversation.random
        self.conversation = conversation
        self.opener: Side = "A"
        self.client = client
        self.server = server
        self.resuming = False
        self.isn: dict[Side, int] = {"A": random.randrange(1 << 32), "B": random.randrange(1 << 32)}
        self.anchor: dict[Side, int] = {"A": 0, "B": 0}
        """Octets of each stream before the one that ISN+1 stands for (MAP-03)."""
        self.place: dict[Side, int] = {"A": 0, "B": 0}
        """Octets of each stream before the next one sent on this transport."""
        self.finished: dict[Side, bool] = {"A": False, "B": False}
        self._clock: dict[Side, int] = {"A": random.randrange(1 << 31), "B": random.randrange(1 << 31)}
        self._echo: dict[Side, int] = {"A": 0, "B": 0}
        self._option: FlowOption | None = None
        self._offered: FlowOption | None = None

    @property
    def answerer(self) -> Side:
        """The side that did not open this transport."""
        return "B" if self.opener == "A" else "A"

    def other(self, side: Side) -> Side:
        """The side that is not `side`."""
        return "B" if side == "A" else "A"

    # The three segments of the handshake.

    def handshake(
        self,
        syn: OptionChoice | Literal["ruled"],
        syn_ack: OptionChoice | Literal["ruled"],
        ack: OptionChoice | Literal["ruled"],
    ) -> Transport:
        """Send all three, each with the option the rules ask for or the one given."""
        self.syn(option=syn)
        self.syn_ack(option=syn_ack)
        self.ack(option=ack)
        return self

    def syn(
        self,
        *,
        option: OptionChoice | Literal["ruled"] = "ruled",
        options: bytes | None = None,
        payload: bytes = b"",
    ) -> Sent:
        """The opener's SYN; sent again, it is a retransmission with the same contents (EST-09).

        `options` replaces the whole option area.
        """
        talk, side = self.conversation, self.opener
        if self.resuming:
            own, other = talk.streams[side], talk.streams[self.other(side)]
            ruled = FlowOption(talk.variant, talk.tifid, own.sent_position, other.received_position)
        else:
            ruled = FlowOption(talk.variant, Tifid.from_halves(talk.tifid.first), talk.streams[side].s0, 0)
        chosen = self._chosen(ruled, option)
        if self._offered is None:  # the answerer answers what it got, the first time
            self._offered = chosen if isinstance(chosen, FlowOption) else ruled
        return self.emit(side, SYN, seq=self.isn[side], option=chosen, options=options, payload=payload)

    def syn_ack(self, *, option: OptionChoice | Literal["ruled"] = "ruled", payload: bytes = b"") -> Sent:
        """The answerer's SYN-ACK."""
        talk, side = self.conversation, self.answerer
        own, other = talk.streams[side], talk.streams[self.opener]
        assert self._offered is not None, "syn() comes first"
        if self.resuming:
            ruled = FlowOption(talk.variant, talk.tifid, self._offered.tiack, other.received_position)
            # What each side has of the other's stream is where the other goes on (R1, MAP-03).
            self.anchor = {side: own.received, self.opener: other.received}
        else:
            ruled = FlowOption(talk.variant, talk.tifid, own.s0, self._offered.tiseq)
        self.place = dict(self.anchor)
        self._option = ruled
        ack = SEQ32.add(self.isn[self.opener], 1)
        talk.wait(talk.rtt // 2)
        return self.emit(
            side, SYN | ACK, seq=self.isn[side], ack=ack, option=self._chosen(ruled, option), payload=payload
        )

    def ack(self, *, option: OptionChoice | Literal["ruled"] = "ruled", payload: bytes = b"") -> Sent:
        """The opener's third segment."""
        talk = self.conversation
        assert self._option is not None, "syn_ack() comes first"
        ruled = FlowOption(talk.variant, talk.tifid, self._option.tiack, self._option.tiseq)
        talk.wait(talk.rtt // 2 + MS // 20)
        return self.emit(self.opener, ACK | PSH * bool(payload), option=self._chosen(ruled, option), payload=payload)

    @staticmethod
    def _chosen(ruled: FlowOption, option: OptionChoice | Literal["ruled"]) -> FlowOption | bytes | None:
        if isinstance(option, str):
            return ruled
        return option(ruled) if callable(option) else option

    # What follows it.

    def send(self, side: Side, data: int | bytes, *, lost: bool = False, acked: bool = True) -> Sent:
        """New bytes of `side`, and the other side's ACK; `lost` ones are captured on the path and never arrive."""
        stream = self.conversation.streams[side]
        if isinstance(data, int):
            start = len(stream.octets)
            data = bytes((at * 7 + at // 251 + ord(side)) & 0xFF for at in range(start, start + data))
        self.place[side] = len(stream.octets)
        stream.octets += data
        return self._carry(side, data, lost=lost, acked=acked)

    def resend(self, side: Side, *, lost: bool = False, acked: bool = True) -> Sent:
        """Everything `side` has sent that this transport has not carried yet, or what was lost on it."""
        stream = self.conversation.streams[side]
        self.place[side] = max(self.anchor[side], min(self.place[side], stream.received))
        return self._carry(side, bytes(stream.octets[self.place[side] :]), lost=lost, acked=acked)

    def _carry(self, side: Side, data: bytes, *, lost: bool, acked: bool) -> Sent:
        talk, stream = self.conversation, self.conversation.streams[side]
        talk.wait(MS)
        start = self.place[side]
        self.place[side] = start + len(data)
        sent = self.emit(side, ACK | PSH, seq=self.seq(side, start), payload=data, lost=lost)
        if talk.observed[-1].arrived is None:
            return sent
        if start <= stream.received:
            stream.received = max(stream.received, start + len(data))
        if acked:
            talk.wait(talk.rtt // 2)
            self.emit(self.other(side), ACK)
        return sent

    def fin(self, side: Side, *, acked: bool = True) -> Sent:
        """The end of `side`'s stream."""
        talk = self.conversation
        talk.wait(MS)
        sent = self.emit(side, FIN | ACK)
        self.finished[side] = True
        if acked:
            talk.wait(talk.rtt // 2)
            self.emit(self.other(side), ACK)
        return sent

    def close(self) -> None:
        """Both sides end their streams."""
        self.fin("A", acked=False)
        self.fin("B")

    def reset(self, side: Side, *, option: FlowOption | bytes | None = None) -> Sent:
        """A RST of `side`."""
        self.conversation.wait(MS)
        return self.emit(side, RST | ACK, option=option)

    def seq(self, side: Side, octets: int | None = None) -> int:
        """The sequence number of the byte after `octets` of the stream (default: of the next one, FIN counted)."""
        place = self.place[side] if octets is None else octets
        return SEQ32.add(self.isn[side], 1 + place - self.anchor[side] + (octets is None and self.finished[side]))

    def acknowledgment(self, side: Side) -> int:
        """The acknowledgment number `side` sends: everything it has of the other's stream, its FIN included."""
        other = self.other(side)
        stream = self.conversation.streams[other]
        received = max(stream.received, self.anchor[other])
        ended = self.finished[other] and received >= len(stream.octets)
        return SEQ32.add(self.isn[other], 1 + received - self.anchor[other] + ended)

    def emit(
        self,
        side: Side,
        flags: int,
        *,
        seq: int | None = None,
        ack: int | None = None,
        payload: bytes = b"",
        option: FlowOption | bytes | None = None,
        options: bytes | None = None,
        lost: bool = False,
    ) -> Sent:
        """Any segment: sequence numbers as the transport stands unless given, the system's options unless given."""
        talk = self.conversation
        opening = side == self.opener
        source, destination = (self.client, self.server) if opening else (self.server, self.client)
        if options is None:
            octets = option.encode(talk.kinds) if isinstance(option, FlowOption) else option or b""
            options = self._system_options(side, flags, beside=bool(octets)) + octets
        header = TcpHeader(
            self.seq(side) if seq is None else seq,
            self.acknowledgment(side) if ack is None and flags & ACK else ack or 0,
            flags,
            65535 if flags & SYN else 512,
            options + NOP * (-len(options) % 4),
        )
        sent = Sent(talk.now, side, source, destination, header, payload)
        passed = None if lost else talk.path(sent)
        pieces = [] if passed is None else [passed] if isinstance(passed, Sent) else list(passed)
        if pieces:
            self._echo[self.other(side)] = self._tick(side)
        else:
            talk.observed.append(_observed(side, sent, None, sent))
        for number, piece in enumerate(pieces):
            arrived = piece._replace(time_ns=piece.time_ns + talk.rtt // 2)
            between = piece if len(pieces) > 1 else sent
            talk.observed.append(_observed(side, None if number else sent, arrived, between))
        return sent

    def _tick(self, side: Side) -> int:
        return SEQ32.add(self._clock[side], self.conversation.now // MS)

    def _system_options(self, side: Side, flags: int, *, beside: bool) -> bytes:
        """The options of the side's system, `beside` a flow option or without one; RSTs have none."""
        names = SYN_LAYOUTS[self.conversation.layout[side]][beside]
        ts = timestamps(self._tick(side), self._echo[side])
        if flags & SYN:
            octets = {"mss": mss(1460), "nop": NOP, "eol": b"\0", "sok": SACK_PERMITTED, "ts": ts}
            octets["ws"] = window_scale(_WINDOW_SHIFT)
            return b"".join(octets[name] for name in names)
        both = all("ts" in SYN_LAYOUTS[system][0] for system in self.conversation.layout.values())
        return NOP + NOP + ts if both and not flags & RST else b""


def _observed(side: Side, sent: Sent | None, arrived: Sent | None, between: Sent) -> Observed:
    return Observed(sent, arrived, between) if side == "A" else Observed(arrived, sent, between)
