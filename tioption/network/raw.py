"""Ports of the machine's own addresses, taken from the kernel's TCP and spoken from user space.

Linux, with CAP_NET_RAW. A packet socket hears what arrives for the ports, a raw socket sends. The kernel's TCP would
answer what it knows nothing of by a RST; so each port is held by a listening socket whose filter drops everything: a
segment that a listener's filter refuses is gone without an answer, and no rule of a firewall is touched. All of it ends
with the process. Sources: packet(7), raw(7), socket(7) on SO_ATTACH_FILTER; Linux net/ipv4/tcp_ipv4.c.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from ipaddress import ip_address
from struct import pack
from typing import Final

from tioption.capture.packet_filter import Step, assemble, encode
from tioption.capture.packet_socket import (
    AUXDATA,
    ETH_P_ALL,
    NOTHING,
    PACKET_AUXDATA,
    SOL_PACKET,
    attach,
    make_room,
    silence,
)
from tioption.checksum import checksum
from tioption.packet import ICMP, ICMP6, TCP, pseudo_header

_IPV4, _IPV6 = 0x0800, 0x86DD
_CSUM_NOT_READY: Final = 1 << 3
_RECEIVE_BUFFER: Final = 1 << 22
_IDLE: Final = 900.0
"""Seconds after which a port that was claimed by sending from it, and is silent, is given back."""
_MOST_OCTETS: Final = 0x10000
_PACKET_OUTGOING: Final = 4
_ICMP_ERRORS: Final = (3, 11, 12)  # unreachable, time exceeded, parameter problem (RFC 792)
_ICMP6_INFORMATION: Final = 128  # types below are error messages (RFC 4443)
_PROTOCOL, _PKTTYPE = 0xFFFFF000, 0xFFFFF004  # SKF_AD_OFF: what the kernel knows beside the octets


def _hears(low: int, high: int) -> bytes:
    """The filter of the packet socket: TCP to a port from `low` to `high`, and ICMP's error messages."""
    ports = (Step("jge", low, "", "drop"), Step("jge", high + 1, "drop", "pass"))
    return encode(
        assemble(
            [
                Step("ldb [k]", _PKTTYPE),
                Step("jeq", _PACKET_OUTGOING, "drop"),
                Step("ldh [k]", _PROTOCOL),
                Step("jeq", _IPV6, "ipv6"),
                Step("jeq", _IPV4, "", "drop"),
                Step("ldb [k]", 0),  # the header length, in units of 4 octets
                Step("and #k", 15),
                Step("lsh #k", 2),
                Step("tax"),
                Step("ldb [k]", 9),
                Step("jeq", TCP, "", "icmp"),
                Step("ldh [x+k]", 2),
                *ports,
                "icmp",
                Step("jeq", ICMP, "", "drop"),
                Step("ldb [x+k]", 0),
                *(Step("jeq", kind, "pass") for kind in _ICMP_ERRORS),
                Step("ja", 0, "drop"),
                "ipv6",
                Step("ldb [k]", 6),
                Step("jeq", TCP, "", "icmp6"),
                Step("ldh [k]", 42),
                *ports,
                "icmp6",
                Step("jeq", ICMP6, "", "drop"),
                Step("ldb [k]", 40),
                Step("jge", _ICMP6_INFORMATION, "drop", "pass"),
                "pass",
                Step("ret", _MOST_OCTETS * 2),
                "drop",
                Step("ret", 0),
            ]
        )
    )


class RawPorts:
    """A device (`Device`) for ports of this machine's addresses; ports are claimed by name, or by sending from them.

    A port claimed by sending goes back to the kernel when nothing was sent from it for 15 minutes.

    Raises PermissionError without CAP_NET_RAW.
    """

    def __init__(self) -> None:
        """Hear nothing yet."""
        self._claimed: dict[tuple[bytes, int], socket.socket] = {}
        """Who holds which port of which address; of the address b"", of all."""
        self._spoken: dict[tuple[bytes, int], float] = {}
        """When those that were claimed by sending from them were last sent from."""
        self._senders: dict[int, socket.socket] = {}
        self._receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        try:
            silence(self._receiver)
            self._receiver.setblocking(False)
            self._receiver.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            make_room(self._receiver, _RECEIVE_BUFFER)
            for family in (socket.AF_INET, socket.AF_INET6):
                with suppress(OSError):  # a family the kernel does not have; claiming an address of it will say so
                    self._senders[4 if family == socket.AF_INET else 16] = _sender(family)
        except BaseException:
            self.close()
            raise

    def claim(self, address: str, port: int = 0) -> int:
        """Take a port of an address, or of all of them (""), from the kernel, any free one for 0; returns it.

        Raises OSError where somebody has it, or the address is not this machine's.
        """
        return self._claim(ip_address(address).packed if address else b"", port)

    def _claim(self, address: bytes, port: int) -> int:
        family = socket.AF_INET if len(address) == 4 or 16 not in self._senders else socket.AF_INET6
        holder = socket.socket(family, socket.SOCK_STREAM)
        try:
            attach(holder, NOTHING)
            if family == socket.AF_INET6:
                holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(address)))
            holder.bind((str(ip_address(address)) if address else "", port))
            holder.listen(1)
        except BaseException:
            holder.close()
            raise
        port = holder.getsockname()[1]
        self._claimed[address, port] = holder
        ports = [number for _, number in self._claimed]
        attach(self._receiver, _hears(min(ports), max(ports)))
        return port

    def _has(self, address: bytes, port: int) -> bool:
        return (address, port) in self._claimed or (b"", port) in self._claimed

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self._receiver.fileno()

    def read(self) -> bytes | None:
        """The next packet for a port that is claimed, or ICMP error message; None where there is none now."""
        while True:
            try:
                packet, ancillary, _, _ = self._receiver.recvmsg(_MOST_OCTETS, socket.CMSG_SPACE(20))
            except OSError:  # none now, or an interface went down
                return None
            where = _to(packet)
            if where is not None and not self._has(*where):
                continue
            for level, kind, octets in ancillary:
                if level == SOL_PACKET and kind == PACKET_AUXDATA and AUXDATA(octets)[0] & _CSUM_NOT_READY:
                    return _with_checksum(packet)
            return packet

    def write(self, packet: bytes) -> bool:
        """Send a packet, from a port that is claimed for it where it is not yet; False where the kernel does not."""
        source, destination, protocol, at = _header(packet)
        try:
            if protocol == TCP:
                port = int.from_bytes(packet[at : at + 2], "big")
                now = time.monotonic()
                if not self._has(source, port):
                    self._release_idle(now)
                    self._claim(source, port)
                    self._spoken[source, port] = now
                elif (source, port) in self._spoken:
                    self._spoken[source, port] = now
            self._senders[len(source)].sendto(packet, (str(ip_address(destination)), 0))
        except (OSError, KeyError):
            return False
        return True

    def _release_idle(self, now: float) -> None:
        for where in [where for where, spoken in self._spoken.items() if spoken < now - _IDLE]:
            del self._spoken[where]
            self._claimed.pop(where).close()

    def close(self) -> None:
        """Give the ports back."""
        for one in (*self._claimed.values(), *self._senders.values(), self._receiver):
            one.close()


def _sender(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)  # which says that the IP header is ours
    made.setblocking(False)
    return made


def _header(packet: bytes) -> tuple[bytes, bytes, int, int]:
    """Source and destination of an IP packet, the protocol of its payload, and where that begins."""
    if packet[0] >> 4 == 4:
        return packet[12:16], packet[16:20], packet[9], (packet[0] & 15) << 2
    return packet[8:24], packet[24:40], packet[6], 40


def _to(packet: bytes) -> tuple[bytes, int] | None:
    """Address and port a TCP segment goes to; None for what is no TCP."""
    _, destination, protocol, at = _header(packet)
    return (destination, int.from_bytes(packet[at + 2 : at + 4], "big")) if protocol == TCP else None


def _with_checksum(packet: bytes) -> bytes:
    """A segment whose checksum the sender's kernel has left to hardware that there is not."""
    source, destination, protocol, at = _header(packet)
    ipv4 = len(source) == 4
    end = int.from_bytes(packet[2:4], "big") if ipv4 else 40 + int.from_bytes(packet[4:6], "big")
    if protocol != TCP or end - at < 20:
        return packet
    segment = packet[at : at + 16] + b"\0\0" + packet[at + 18 : end]
    value = checksum(pseudo_header(source, destination, TCP, len(segment)) + segment)
    return packet[: at + 16] + pack("!H", value) + packet[at + 18 :]
