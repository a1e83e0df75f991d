"""Captures to measure with, made quickly and kept: `python -m bench.captures mixed.pcap` prints the path.

mixed
: traffic as a busy link shows it: long connections in IPv4, IPv6 and VLAN alike, cut to 128 octets a packet; 2 % of the
  packets are SYNs and SYN-ACKs, and half of the connections carry the option in their handshake. As everywhere, a
  client's ports come round again.

dense
: nothing but handshakes with the option, as a filter at the capture point would have left them.

flood
: nothing but SYNs with the option, each from another address or port.

Either as pcap or pcapng, bare or compressed: the name says which (mixed.pcap, dense.pcapng.gz, mixed.pcap.zst). Needs
numpy; everything is made of rows of equal octets into which the fields that vary are written column by column.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple

from tioption.build.packet import NOP, SACK_PERMITTED, mss, timestamps, window_scale
from tioption.capture.segment import ACK, PSH, SYN
from tioption.option import FlowOption, Tifid, Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Rows = NDArray[np.uint8]

ROOT: Final = Path(__file__).resolve().parents[1]
SNAPLEN: Final = 128
PACKETS: Final = {"mixed": 2_000_000, "dense": 500_000, "flood": 10_000_000}
"""Packets of each capture where nobody says otherwise."""

_CONNECTIONS: Final = 1000  # made at a time, their packets shuffled in time
_HOSTS: Final = 4000  # clients, each with a port of its own
_DATA_PACKETS: Final = 97  # of a connection in mixed, behind 3 of handshake
_STEP: Final = 1400  # octets of payload in a packet with payload

_MACS: Final = bytes.fromhex("020000000002020000000001")
_FLOW: Final = bytes(FlowOption(Variant.FLOW_D, Tifid(0), 0, 0))
_SYN_OPTIONS: Final = mss(1460) + SACK_PERMITTED + timestamps(0, 0) + NOP + window_scale(7)
_ACK_OPTIONS: Final = NOP + NOP + timestamps(0, 0)
_FAMILIES: Final = ("ipv4", "ipv6", "vlan")


def folder() -> Path:
    """Where captures are kept: BENCH_CAPTURES, or build/bench in the repository."""
    kept = Path(os.environ.get("BENCH_CAPTURES") or ROOT / "build" / "bench")
    kept.mkdir(parents=True, exist_ok=True)
    return kept


class _Shape(NamedTuple):
    """Packets that differ in their numbers only."""

    family: str
    flags: int
    options: bytes
    payload: int

    def template(self) -> tuple[bytes, int, int]:
        """The frame with zeros for numbers and payload, and where in it the addresses and the TCP header begin."""
        ethertype = b"\x86\xdd" if self.family == "ipv6" else b"\x08\x00"
        link = _MACS + (b"\x81\x00\x00\x05" if self.family == "vlan" else b"") + ethertype
        length = 20 + len(self.options) + self.payload
        if self.family == "ipv6":
            network = pack("!IHBB", 6 << 28, length, 6, 64) + bytes(32)
            addresses = len(link) + 8
        else:
            network = pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 6, 0) + bytes(8)
            addresses = len(link) + 12
        header = bytes(12) + bytes(((20 + len(self.options)) << 2, self.flags)) + b"\xff\xff" + bytes(4) + self.options
        frame = link + network + header + bytes(self.payload)
        return frame, addresses, len(link) + len(network)


class _Packets(NamedTuple):
    """A number of packets in terms of the protocol, one value of each array a packet."""

    time_us: Numbers
    shape: Numbers
    connection: Numbers
    from_client: NDArray[np.bool_]
    seq: Numbers
    ack: Numbers
    complete: NDArray[np.bool_]
    """Whether the identifier of the flow has its second half."""


_HANDSHAKE: Final = ((SYN, _SYN_OPTIONS), (SYN | ACK, _SYN_OPTIONS), (ACK, _ACK_OPTIONS))
SHAPES: Final = tuple(
    [
        _Shape(family, flags, options + flow, 0)
        for family in _FAMILIES
        for flow in (b"", _FLOW)
        for flags, options in _HANDSHAKE
    ]
    + [
        _Shape(family, ACK | (PSH if payload else 0), _ACK_OPTIONS, payload)
        for family in _FAMILIES
        for payload in (0, _STEP)
    ]
)
_DATA: Final = len(_FAMILIES) * 6


def _packets(first: int, name: str, random: np.random.Generator) -> _Packets:
    """The packets of _CONNECTIONS connections from number `first`, in the order of their times."""
    import numpy as np

    each = {"mixed": 3 + _DATA_PACKETS, "dense": 3, "flood": 1}[name]
    connection = np.repeat(np.arange(first, first + _CONNECTIONS), each)
    step = np.tile(np.arange(each), _CONNECTIONS)
    family = np.choose(connection % 10, [0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    carries = (connection // 10) % 2 if name == "mixed" else np.ones_like(connection)
    payload = step % 2
    shape = np.where(step < 3, family * 6 + carries * 3 + step, _DATA + family * 2 + payload)
    from_client = np.where(step < 3, step != 1, step % 4 < 2)
    isn = [(connection * factor + 12345) & 0xFFFFFFFF for factor in (2654435761, 40503 * 65537)]
    sent = np.maximum(step - 3, 0) // 4 * _STEP + 1
    client, server = isn[0] + np.where(step == 0, 0, sent), isn[1] + np.where(step == 1, 0, sent)
    seq = np.where(from_client, client, server) & 0xFFFFFFFF
    ack = np.where(step == 0, 0, np.where(from_client, server, client)) & 0xFFFFFFFF
    start = (connection - first) * (
        1000 if name == "mixed" else 100
    ) + first * 1300  # one thousand of them ends before the next begins
    time_us = start + step * 1000 + random.integers(0, 999, len(step))
    order = np.argsort(time_us, kind="stable")
    values = time_us, shape, connection, from_client, seq, ack, step > 0
    return _Packets._make(array[order] for array in values)


def _columns(rows: Rows, at: int, numbers: Numbers, octets: int) -> None:
    """Write big-endian numbers of `octets` octets into all rows at `at`."""
    rows[:, at : at + octets] = numbers.astype(">u8").view("u1").reshape(-1, 8)[:, 8 - octets :]


def _frames(shape: _Shape, packets: _Packets, noise: Rows) -> Rows:
    """The captured octets of packets of one shape, a row each."""
    import numpy as np

    template, addresses, tcp = shape.template()
    octets = min(len(template), SNAPLEN)
    rows = np.tile(np.frombuffer(template[:octets], np.uint8), (len(packets.shape), 1))
    number, client = packets.connection, packets.from_client
    host = number % _HOSTS
    size = 16 if shape.family == "ipv6" else 4
    near = (0xC6120000 if size == 4 else 0) | host
    far = (0xCB007100 if size == 4 else 0x10000000) | host % 251
    for side, place in ((np.where(client, near, far), addresses), (np.where(client, far, near), addresses + size)):
        if size == 16:
            rows[:, place : place + 4] = np.frombuffer(b"\x20\x01\x0d\xb8", np.uint8)
        _columns(rows, place + size - 4, side, 4)
    port = 32768 + host
    _columns(rows, tcp, np.where(client, port, 443), 2)
    _columns(rows, tcp + 2, np.where(client, 443, port), 2)
    _columns(rows, tcp + 4, packets.seq, 4)
    _columns(rows, tcp + 8, packets.ack, 4)
    stamp = template.index(b"\x08\x0a", tcp + 20)
    _columns(rows, stamp + 2, packets.time_us // 1000, 4)
    if shape.options.endswith(_FLOW):
        option = tcp + 20 + len(shape.options) - len(_FLOW)
        _columns(rows, option + 2, number * 40503 + 1 & 0xFFFFFF | 1, 3)
        _columns(rows, option + 5, np.where(packets.complete, number * 2654435761 & 0xFFFFFF | 1, 0), 3)
        # Initial positions are made of the ISNs, which the numbers of the third segment are one beyond.
        own, other = packets.seq - (not shape.flags & SYN), packets.ack - 1
        _columns(rows, option + 8, (own & 0xFFFFFFFF) * 65537 + 70000, 6)
        _columns(rows, option + 14, np.where(packets.complete, (other & 0xFFFFFFFF) * 65537 + 70000, 0), 6)
    payload = tcp + 20 + len(shape.options)
    if payload < octets:
        start = int(packets.seq[0]) % 1000
        room = rows[:, payload:octets]
        room[:] = np.resize(noise[start:], room.shape)
    return rows


def _pcap_records(rows: Rows, length: int, packets: _Packets) -> Rows:
    import numpy as np

    heads = np.empty((len(rows), 4), "<u4")
    heads[:, 0], heads[:, 1] = 1_700_000_000 + packets.time_us // 1_000_000, packets.time_us % 1_000_000
    heads[:, 2], heads[:, 3] = rows.shape[1], length
    return np.hstack((heads.view("u1"), rows))


def _pcapng_blocks(rows: Rows, length: int, packets: _Packets) -> Rows:
    import numpy as np

    octets = rows.shape[1]
    padding = -octets % 4
    total = 32 + octets + padding
    time_us = packets.time_us + 1_700_000_000_000_000
    heads = np.empty((len(rows), 7), "<u4")
    heads[:, 0], heads[:, 1], heads[:, 2] = 6, total, 0
    heads[:, 3], heads[:, 4] = time_us >> 32, time_us & 0xFFFFFFFF
    heads[:, 5], heads[:, 6] = octets, length
    tails = np.full((len(rows), 1), total, "<u4")
    return np.hstack((heads.view("u1"), rows, np.zeros((len(rows), padding), np.uint8), tails.view("u1")))


_PCAP_HEADER: Final = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1)
_PCAPNG_HEADER: Final = pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + pack(
    "<IIHHII", 1, 20, 1, 0, SNAPLEN, 20
)


def octets_of(name: str, packets: int, *, pcapng: bool) -> Iterator[bytes]:
    """The file in pieces: `name` is mixed, dense or flood; the same name and number give the same octets."""
    import numpy as np

    random = np.random.default_rng(7)
    noise = random.integers(0, 256, 1 << 20, dtype=np.uint8)
    yield _PCAPNG_HEADER if pcapng else _PCAP_HEADER
    framed = _pcapng_blocks if pcapng else _pcap_records
    first = 0
    while packets > 0:
        made = _Packets._make(array[:packets] for array in _packets(first, name, random))
        first += _CONNECTIONS
        packets -= len(made.shape)
        parts = []
        sizes = np.zeros(len(made.shape), np.int64)
        for number, shape in enumerate(SHAPES):
            (chosen,) = np.nonzero(made.shape == number)
            if len(chosen):
                ours = _Packets._make(array[chosen] for array in made)
                rows = framed(_frames(shape, ours, noise), len(shape.template()[0]), ours)
                sizes[chosen] = rows.shape[1]
                parts.append((chosen, rows))
        ends = np.cumsum(sizes)
        out = np.empty(ends[-1], np.uint8)
        for chosen, rows in parts:
            octets = rows.shape[1]
            out[(ends[chosen] - octets)[:, None] + np.arange(octets)] = rows
        yield out.tobytes()


def _compressor(suffix: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if suffix == ".gz":
        gzip = zlib.compressobj(6, wbits=31)
        return gzip.compress, gzip.flush
    if suffix == ".zst":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        compressor = zstd.ZstdCompressor(level=3)
        return compressor.compress, compressor.flush
    return bytes, bytes


def capture(file: str, packets: int | None = None) -> Path:
    """The path of a capture by its name, made where it is not there yet."""
    name, _, form = file.partition(".")
    if packets is None:
        packets = PACKETS[name]
    path = folder() / f"{name}-{packets}.{form}"
    if not path.exists():
        compress, finish = _compressor(path.suffix)
        descriptor, part = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as out:
            for piece in octets_of(name, packets, pcapng=form.startswith("pcapng")):
                out.write(compress(piece))
            out.write(finish())
        Path(part).replace(path)
    return path


def main() -> int:
    """Make captures and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="mixed, dense or flood, with .pcap or .pcapng, .gz or .zst"
    )
    parser.add_argument("--packets", type=int, help="how many packets (default: those of PACKETS)")
    arguments = parser.parse_args()
    for name in arguments.names:
        print(capture(name, arguments.packets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
