"""Live captures: frames of a network interface as they pass, filtered by the kernel (Linux, AF_PACKET).

A shell around one socket; what is in a frame is found out by the dissection that reads files, too. Devices with an
Ethernet header hand over whole frames, all others the packet behind a Linux cooked header (version 2), as tcpdump
writes it. Sources: packet(7), Linux Documentation/networking/packet_mmap.rst, libpcap's LINKTYPE_LINUX_SLL2.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from ctypes import addressof, create_string_buffer
from errno import ENETDOWN
from fcntl import ioctl
from struct import Struct, pack, unpack_from
from types import TracebackType
from typing import Any, Final, NamedTuple

from tioption.capture.packet_filter import SNAPSHOT, Instruction, Step, assemble, encode, flow_option_filter
from tioption.capture.reader import segments
from tioption.capture.record import Record
from tioption.capture.segment import CutSegment, Segment
from tioption.capture.undecoded import UndecodedCounter
from tioption.errors import CaptureError
from tioption.option import Kinds

ANY: Final = "any"
"""What stands for all interfaces together."""

# What Python's socket module has no names for, on every architecture Linux has but Alpha, MIPS, PA-RISC and SPARC.
_SO_RCVBUF_FORCE, _SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 33, 26, 35
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8
_ETH_P_ALL: Final = 3
_SIOCGIFHWADDR: Final = 0x8927

_RECEIVE_BUFFER: Final = 1 << 24
_TIMESPEC: Final = Struct("@ll").unpack_from
_AUXDATA: Final = Struct("=III").unpack_from  # status, octets on the wire, octets kept

_ETHERNET, _SLL2 = 1, 276
_LINK_TYPES: Final = {1: _ETHERNET, 772: _ETHERNET, 801: 105, 803: 127}
"""Link types of devices that hand over whole frames, by ARPHRD_ type: Ethernet, loopback, 802.11 monitors."""


class Statistics(NamedTuple):
    """What the kernel has counted since a capture began."""

    passed: int
    """Frames the filter let through, those dropped for want of room included."""
    dropped: int


class Interface:
    """A network interface under capture, or all of them (`ANY`), until it goes down or nobody asks for more.

    `undecoded` counts what could not be decoded so far. A context manager. Raises PermissionError without CAP_NET_RAW
    and OSError where there is no such interface.
    """

    def __init__(self, name: str, *, every: bool = False, on_wait: Callable[[], object] = lambda: None) -> None:
        """Begin to listen: for segments that can carry a flow option, or with `every` for all of TCP.

        `on_wait` is called before each wait for frames: the moment to flush what was made of those before.
        """
        self.name = name
        self.undecoded = UndecodedCounter()
        self._on_wait = on_wait
        self._counted = Statistics(0, 0)
        self._link_type = _SLL2 if name == ANY else _LINK_TYPES.get(_hardware_type(name), _SLL2)
        self._socket = self._opened(_program(self._link_type, every=every))

    def _opened(self, program: list[Instruction]) -> socket.socket:
        """The socket, which hears nothing before its filter stands."""
        kind = socket.SOCK_DGRAM if self._link_type == _SLL2 else socket.SOCK_RAW
        # A socket of protocol 0 hears nothing until it is bound to one; but binding wants an interface.
        made = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL) if self.name == ANY else 0)
        try:
            _attach(made, program)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            try:
                made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUF_FORCE, _RECEIVE_BUFFER)
            except PermissionError:  # needs CAP_NET_ADMIN; without it the system's limit holds
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if self.name == ANY:
                _drain(made)
            else:
                made.bind((self.name, _ETH_P_ALL))
        except BaseException:
            made.close()
            raise
        return made

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def statistics(self) -> Statistics:
        """The kernel's counts so far."""
        passed, dropped = unpack_from("=II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._counted = Statistics(self._counted.passed + passed, self._counted.dropped + dropped)  # reading resets
        return self._counted

    def records(self) -> Iterator[Record]:
        """The frames that come through, at most `SNAPSHOT` octets of each, with the kernel's times.

        Ends only by CaptureError, when the interface goes down or vanishes and all it has heard was yielded.
        """
        receive, room = self._socket.recvmsg, socket.CMSG_SPACE(16) + socket.CMSG_SPACE(20)
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        number, ended = 0, False
        while True:
            try:
                data, ancillary, _, address = receive(SNAPSHOT, room)
            except BlockingIOError:
                if ended:
                    raise self._down() from None
                self._on_wait()
                waiting.poll()
                continue
            except OSError as error:
                if error.errno != ENETDOWN:
                    raise
                ended = True  # the kernel says so before it hands over what is still in the queue
                continue
            number += 1
            time_ns, length = _beside(ancillary)
            if self._link_type == _SLL2:
                header = _cooked(address)
                yield Record(number, time_ns, _SLL2, header + data, len(header) + max(length, len(data)))
            else:
                yield Record(number, time_ns, self._link_type, data, max(length, len(data)))

    def segments(self, carriers: Kinds | None = None) -> Iterator[Segment | CutSegment]:
        """The TCP segments as they pass; `carriers` and errors as for `Capture.segments`, without an end."""
        return segments(self.records(), self.undecoded, carriers)

    def _down(self) -> CaptureError:
        there = self.name in interfaces()
        found = "that it is down" if there else "that it is gone"
        return CaptureError("frames of the interface", found, file=self.name, frame=None, offset=None)


def interfaces() -> list[str]:
    """The names of this machine's interfaces, in this network namespace."""
    return [name for _, name in socket.if_nameindex()]


def _hardware_type(name: str) -> int:
    """The ARPHRD_ type of a device; raises OSError where there is none of this name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = ioctl(asking, _SIOCGIFHWADDR, pack("16s24x", name.encode()[:15]))
    kind: int = unpack_from("=H", answer, 16)[0]
    return kind


def _program(link_type: int, *, every: bool) -> list[Instruction]:
    if link_type in {_ETHERNET, _SLL2}:
        return flow_option_filter(ethernet=link_type == _ETHERNET, every=every)
    return assemble([Step("ret", SNAPSHOT)])  # 802.11: where IP begins in a frame takes more than a filter can do


def _attach(made: socket.socket, program: list[Instruction]) -> None:
    octets = create_string_buffer(encode(program))
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("@HP", len(program), addressof(octets)))


def _drain(made: socket.socket) -> None:
    """Forget what came in before the filter stood."""
    while True:
        try:
            made.recv(1)
        except BlockingIOError:
            break
    made.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)


def _beside(ancillary: list[tuple[int, int, bytes]]) -> tuple[int | None, int]:
    """Time of a frame in nanoseconds and its octets on the wire, from what the kernel says beside it."""
    time_ns, length = None, 0
    for level, kind, octets in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC(octets)
            time_ns = seconds * 1_000_000_000 + nanoseconds
        elif level == _SOL_PACKET and kind == _PACKET_AUXDATA:
            length = _AUXDATA(octets)[1]
    return time_ns, length


def _cooked(address: Any) -> bytes:
    """The Linux cooked header, version 2, of 20 octets, from the address beside a packet; the index is left out."""
    _, protocol, packet_type, hardware_type, hardware_address = address
    octets = hardware_address[:8]
    return pack("!HHIHBB8s", protocol, 0, 0, hardware_type, packet_type, len(octets), octets)
