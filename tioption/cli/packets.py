"""What commands that send packets of their own share: who is meant, what carries packets, what records them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tioption.cli.declare import MachineError, UsageError

if TYPE_CHECKING:
    from tioption.network import RawPorts


def port_number(word: str) -> int:
    """The port that a number or the name of a service stands for; raises UsageError where there is none."""
    import socket

    if word.isascii() and word.isdigit():
        if len(word) < 6 and 1 <= int(word) <= 65535:
            return int(word)
        raise UsageError(f"expected a port from 1 to 65535, found {word}")
    try:
        return socket.getservbyname(word, "tcp")
    except OSError:
        raise UsageError(f"expected a port, as a number or the name of a service, found {word!r}") from None


def addresses(host: str, *, ipv4: bool, ipv6: bool) -> list[str]:
    """The addresses a name has, of the families asked for; raises UsageError or MachineError where there are none."""
    import socket

    family = socket.AF_UNSPEC if ipv4 == ipv6 else socket.AF_INET if ipv4 else socket.AF_INET6
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise MachineError(f"{host}: no name server answers; give an address, or try again") from None
        of_family = "" if ipv4 == ipv6 else f" of IPv{4 if ipv4 else 6}"
        raise UsageError(f"{host}: no address{of_family} has this name") from None
    except UnicodeError:
        raise UsageError(f"{host!r} is not the name of a host") from None
    there = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in there:
        if address.lower().startswith("fe80:"):
            raise UsageError(f"{address}: addresses of a link alone cannot be used here")
    return there


def source_for(address: str) -> tuple[str, str]:
    """The address this machine would send from, and why there is none where it is ""."""
    from tioption.network.addresses import routed_source

    try:
        return routed_source(address), ""
    except OSError as error:
        return "", (error.strerror or str(error)).lower()


def raw_ports() -> RawPorts:
    """Ports of this machine's addresses; raises MachineError without Linux or the right to it."""
    import socket

    if not hasattr(socket, "AF_PACKET"):
        raise MachineError("this needs Linux: no other system's sockets send such segments")
    from tioption.network import RawPorts

    try:
        return RawPorts()
    except PermissionError:
        python = os.path.realpath(sys.executable)
        raise MachineError(
            "sending segments of its own needs the capability CAP_NET_RAW: run tiopt with sudo, or give it to the "
            f"Python that runs it, and so to all its programs: sudo setcap cap_net_raw+ep {python}"
        ) from None


class Carrier:
    """A device that remembers how many packets the kernel has not taken."""

    def __init__(self, device: RawPorts) -> None:
        """Carry what the device carries."""
        self._device = device
        self.refused = 0
        self.fileno: Callable[[], int] = device.fileno
        self.read: Callable[[], bytes | None] = device.read
        self.close: Callable[[], None] = device.close

    def write(self, packet: bytes) -> bool:
        """Send a packet; False where the kernel does not take it."""
        taken = self._device.write(packet)
        self.refused += not taken
        return taken

    def claim(self, address: bytes) -> int:
        """A free port of an address of this machine."""
        from tioption.render.values import address_text

        try:
            return self._device.claim(address_text(address))
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            raise MachineError(f"no port of {address_text(address)} is to be had: {what}") from None

    def remark(self) -> None:
        """Say on standard error how many packets that were, where there were any."""
        if self.refused:
            packets = "1 packet was" if self.refused == 1 else f"{self.refused} packets were"
            sys.stderr.write(
                f"tiopt: {packets} not taken by this machine's kernel, perhaps for a firewall of its own; the report "
                "counts what was not taken as sent\n"
            )


@contextmanager
def recording(name: str) -> Iterator[Callable[[int, bytes], object]]:
    """What writes packets into a capture file, each as it comes."""
    from tioption.build.capture_file import LINKTYPE_RAW, file_header, record

    try:
        file = Path(name).open("wb", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--pcap {name}: {(error.strerror or str(error)).lower()}") from None
    with file:
        file.write(file_header(LINKTYPE_RAW, nanoseconds=True))
        yield lambda time_ns, packet: file.write(record(time_ns, packet))
