"""A TUN device: the kernel's own side of a cable whose other end is in user space.

Linux, with CAP_NET_ADMIN. A device is made in the namespace of the process and may be moved into another; it is gone,
with its addresses and routes, when it is closed or the process ends in whatever way.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from ipaddress import ip_address
from pathlib import Path
from struct import pack
from types import TracebackType
from typing import Final

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI, _IFF_TUN_EXCL = 0x0001, 0x1000, 0x8000
_MOST_OCTETS: Final = 0x10000


class Tun:
    """A TUN device: raw IP packets to and from the kernel, none of them with offloads that are not on the wire."""

    def __init__(self, name: str = "tiopt%d") -> None:
        """Make the device; with `%d` in its name the kernel numbers it.

        Raises OSError where that is not allowed, not possible, or the name is taken.
        """
        self._descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            flags = _IFF_TUN | _IFF_NO_PI | _IFF_TUN_EXCL
            made = fcntl.ioctl(self._descriptor, _TUNSETIFF, pack("16sH22x", name.encode(), flags))
        except OSError:
            os.close(self._descriptor)
            raise
        self.name = made[:16].rstrip(b"\0").decode()

    def route(self, *addresses: str) -> None:
        """Have the kernel send what is for these addresses to the device; raises OSError where it does not.

        The kernel's own end has no address: its packets come from one that it has elsewhere.
        """
        commands = [["link", "set", self.name, "up"], *(["route", "add", one, "dev", self.name] for one in addresses)]
        for command in commands:
            done = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)  # noqa: S603, S607
            if done.returncode:
                raise OSError(f"ip {' '.join(command)}: {done.stderr.strip()}")

    def __enter__(self) -> Tun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the device."""
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self._descriptor

    def read(self) -> bytes | None:
        """The next packet the kernel has sent, None where there is none now."""
        try:
            return os.read(self._descriptor, _MOST_OCTETS)
        except OSError:  # none now, or the device is down
            return None

    def write(self, packet: bytes) -> bool:
        """Give the kernel a packet; False where it does not take it."""
        try:
            os.write(self._descriptor, packet)
        except OSError:
            return False
        return True


def forwards(address: str) -> bool:
    """Whether the kernel forwards packets of the address's family: else nobody but this machine reaches the device."""
    family = "ipv4/ip_forward" if ip_address(address).version == 4 else "ipv6/conf/all/forwarding"
    return Path("/proc/sys/net", family).read_text() != "0\n"
