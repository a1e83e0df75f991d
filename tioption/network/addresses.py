"""The machine's own addresses as its kernel has them: which there are, which come and go, where a packet leaves from.

Linux, no privilege. Sources: rtnetlink(7), ip(7).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from ipaddress import ip_address
from struct import Struct, pack, unpack_from
from typing import Final, NamedTuple

_NETLINK_ROUTE: Final = 0
_IPV4_ADDRESSES, _IPV6_ADDRESSES = 1 << 4, 1 << 8  # multicast groups
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NEW_ADDRESS, _DELETED_ADDRESS, _GET_ADDRESS = 20, 21, 22
_REQUEST_DUMP: Final = 0x301
_MESSAGE: Final = Struct("=IHHII")  # struct nlmsghdr
_ADDRESS: Final = Struct("=BBBBI")  # struct ifaddrmsg
_ATTRIBUTE: Final = Struct("=HH")  # struct rtattr
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_MOST_OCTETS: Final = 0x10000
_SIOCGIFMTU: Final = 0x8921
_ETHERNET_MTU: Final = 1500


class Change(NamedTuple):
    """An address that the machine has got, or lost."""

    address: str
    lost: bool


class Addresses:
    """The addresses of this machine, in this network namespace, now and from now on."""

    def __init__(self) -> None:
        """Begin to listen, and ask which addresses there are."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        self._socket.bind((0, _IPV4_ADDRESSES | _IPV6_ADDRESSES))
        self.now: set[str] = set()
        """The addresses there are, as far as changes have been read."""
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        header = _MESSAGE.pack(_MESSAGE.size + len(request), _GET_ADDRESS, _REQUEST_DUMP, 1, 0)
        self._socket.send(header + request)
        while not self._take(self._socket.recv(_MOST_OCTETS), []):
            pass
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that can be read when something has changed."""
        return self._socket.fileno()

    def changes(self) -> list[Change]:
        """What has changed since the last call."""
        found: list[Change] = []
        with suppress(BlockingIOError):
            while True:
                self._take(self._socket.recv(_MOST_OCTETS), found)
        return found

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()

    def _take(self, octets: bytes, found: list[Change]) -> bool:
        """Take in what the kernel says; whether it ends an answer."""
        at = 0
        while at + _MESSAGE.size <= len(octets):
            length, kind, *_ = _MESSAGE.unpack_from(octets, at)
            if kind in {_NLMSG_DONE, _NLMSG_ERROR}:
                return True
            if kind in {_NEW_ADDRESS, _DELETED_ADDRESS}:
                for address in _addresses(octets[at + _MESSAGE.size : at + length]):
                    lost = kind == _DELETED_ADDRESS
                    if (address in self.now) == lost:
                        (self.now.discard if lost else self.now.add)(address)
                        found.append(Change(address, lost))
            at += max(length + 3 & ~3, _MESSAGE.size)
        return False


def _addresses(octets: bytes) -> Iterator[str]:
    """The machine's own address of a message: on a point-to-point link IFA_ADDRESS is the other end's."""
    family, _, _, _, _ = _ADDRESS.unpack_from(octets)
    size = {socket.AF_INET: 4, socket.AF_INET6: 16}.get(family)
    attributes: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(octets):
        length, kind = _ATTRIBUTE.unpack_from(octets, at)
        attributes[kind] = octets[at + _ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, _ATTRIBUTE.size)
    own = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
    if len(own) == size:
        yield str(ip_address(own))


def routed_source(destination: str) -> str:
    """The own address that the kernel would send from to this one; raises OSError where it has no route."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((destination, 9))  # sends nothing
        return str(asking.getsockname()[0]).partition("%")[0]


def source_address(destination: bytes) -> bytes | None:
    """The same of addresses of 4 or 16 octets, None where there is no route: what a host's `route` asks for."""
    try:
        return ip_address(routed_source(str(ip_address(destination)))).packed
    except OSError:
        return None


def least_mtu() -> int:
    """Octets of the largest packet that every network of this machine takes, and Ethernet does."""
    mtus = [_ETHERNET_MTU]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has just gone
                answer = ioctl(asking, _SIOCGIFMTU, pack("16s24x", name.encode()))
                mtus.append(*unpack_from("=i", answer, 16))
    return min(mtus)
