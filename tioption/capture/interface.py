"""Live captures: frames of a network interface as they pass, filtered by the kernel (Linux, AF_PACKET).

A shell around one socket; what is in a frame is found out by the dissection that reads files, too. Devices with an
Ethernet header hand over whole frames; of others the packet is taken, behind a Linux cooked header of version 2 as
tcpdump writes it. Sources: packet(7), libpcap's LINKTYPE_LINUX_SLL2.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from errno import ENETDOWN
from struct import Struct, pack, unpack_from
from types import TracebackType
from typing import Any, Final, NamedTuple

from tioption.capture.packet_filter import ETHERNET, SNAPSHOT, encode, flow_option_filter
from tioption.capture.packet_socket import (
    AUXDATA,
    ETH_P_ALL,
    PACKET_AUXDATA,
    PACKET_STATISTICS,
    SOL_PACKET,
    attach,
    make_room,
    silence,
)
from tioption.capture.reader import segments
from tioption.capture.record import Record
from tioption.capture.segment import CutSegment, Segment
from tioption.capture.undecoded import UndecodedCounter
from tioption.errors import CaptureError
from tioption.option import Kinds

ANY: Final = "any"
"""What stands for all interfaces together."""

# What Python's socket module has no names for, on every architecture Linux has but Alpha, MIPS, PA-RISC and SPARC.
_SO_TIMESTAMPNS: Final = 35
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_MR_PROMISC: Final = 1

_RECEIVE_BUFFER: Final = 1 << 24
_TIMESPEC: Final = Struct("@ll").unpack_from

_SLL2: Final = 276
_LINK_TYPES: Final = dict.fromkeys(ETHERNET, 1) | {801: 105, 803: 127}
"""Link types of devices that hand over whole frames, by ARPHRD_ type: Ethernet, 802.11 without and with radiotap."""


class Statistics(NamedTuple):
    """What the kernel has counted since a capture began."""

    passed: int
    """Frames the filter let through, those dropped for want of room included."""
    dropped: int


class Interface:
    """A network interface under capture, or all of them (`ANY`), until it goes down or nobody asks for more.

    One alone also hears what is for other hosts (promiscuous mode). `undecoded` counts what could not be decoded so
    far. A context manager. Raises PermissionError without CAP_NET_RAW and OSError where there is no such interface.
    """

    def __init__(self, name: str, *, every: bool = False, on_wait: Callable[[], object] = lambda: None) -> None:
        """Begin to listen: for segments that can carry a flow option, or with `every` for all of TCP.

        `on_wait` is called before each wait for frames: the moment to flush what was made of those before.
        """
        self.name = name
        self.undecoded = UndecodedCounter()
        self._on_wait = on_wait
        self._counted = Statistics(0, 0)
        self._socket = self._opened(encode(flow_option_filter(every=every)))

    def _opened(self, program: bytes) -> socket.socket:
        """The socket, which hears nothing before its filter stands."""
        # A socket of protocol 0 hears nothing until it is bound to one; but binding wants an interface.
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL) if self.name == ANY else 0)
        try:
            if self.name == ANY:
                silence(made)
            attach(made, program)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            make_room(made, _RECEIVE_BUFFER)
            if self.name != ANY:
                made.bind((self.name, ETH_P_ALL))
                # What is for other hosts is heard, too, as on a mirror port; until the socket is closed.
                membership = pack("@iHH8x", socket.if_nametoindex(self.name), _PACKET_MR_PROMISC, 0)
                made.setsockopt(SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except BaseException:
            made.close()
            raise
        return made

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """The socket's descriptor, for whoever waits for several things at once."""
        return self._socket.fileno()

    def statistics(self) -> Statistics:
        """The kernel's counts so far."""
        passed, dropped = unpack_from("=II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
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
            yield _record(number, data, ancillary, address)

    def segments(self, carriers: Kinds | None = None) -> Iterator[Segment | CutSegment]:
        """The TCP segments as they pass; `carriers` and errors as for `Capture.segments`, without an end."""
        return segments(self.records(), self.undecoded, carriers)

    def _down(self) -> CaptureError:
        name, *_ = self._socket.getsockname()  # of a device that is gone there is none
        found = "that it is down" if name else "that it is gone"
        return CaptureError("frames of the interface", found, file=self.name, frame=None, offset=None)


def interfaces() -> list[str]:
    """The names of this machine's interfaces, in this network namespace."""
    return [name for _, name in socket.if_nameindex()]


def _record(number: int, data: bytes, ancillary: list[tuple[int, int, bytes]], address: Any) -> Record:
    """The frame with what the kernel says beside it: its time, its octets on the wire, where its network header is."""
    time_ns, length, network = None, len(data), 0
    for level, kind, octets in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC(octets)
            time_ns = seconds * 1_000_000_000 + nanoseconds
        elif level == SOL_PACKET and kind == PACKET_AUXDATA:
            _, length, _, _, network = AUXDATA(octets)
    _, protocol, packet_type, hardware_type, hardware_address = address
    link_type = _LINK_TYPES.get(hardware_type)
    if link_type is not None:
        return Record(number, time_ns, link_type, data, length)
    octets = hardware_address[:8]
    header = pack("!HHIHBB8s", protocol, 0, 0, hardware_type, packet_type, len(octets), octets)
    return Record(number, time_ns, _SLL2, header + data[network:], len(header) + length - network)
