"""Two network namespaces with a cable between them, sockets that live in them, and tcpdump at one end.

Nothing that is sent in here leaves the machine, and nothing here outlives the test.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, NamedTuple, TypeVar

from tests.conftest import needs
from tioption.capture import Capture, Segment
from tioption.errors import CaptureError

_CLONE_NEWNET = 0x40000000
_T = TypeVar("_T")
_LIBC = ctypes.CDLL(None, use_errno=True)

PATIENCE = 10
"""Seconds until something that has not happened will not happen."""


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Return as soon as it happened; fails with what was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.01)


def ip(*words: str) -> None:
    subprocess.run([needs("ip"), *words], check=True, timeout=PATIENCE)


class Host(NamedTuple):
    """A network namespace, by its name, with an address of each family."""

    name: str
    ipv4: str
    ipv6: str

    def address(self, family: socket.AddressFamily) -> str:
        """Its address of a family."""
        return self.ipv6 if family == socket.AF_INET6 else self.ipv4

    def inside(self, work: Callable[[], _T]) -> _T:
        """What `work` returns when it is done in the namespace."""
        done: list[_T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                with Path("/run/netns", self.name).open() as namespace:
                    if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                done.append(work())
            except BaseException as error:
                errors.append(error)

        # A thread of its own: entering a namespace is for the thread alone, and this one does not come back.
        thread = Thread(target=enter)
        thread.start()
        thread.join()
        for error in errors:
            raise error
        return done[0]

    def tcp(self, family: socket.AddressFamily) -> socket.socket:
        """A TCP socket of the namespace, in which it stays whoever uses it."""
        made = self.inside(lambda: socket.socket(family, socket.SOCK_STREAM))
        # The kernel's own timeouts: settimeout() would make the socket non-blocking, and MSG_WAITALL would not wait.
        for timeout in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            made.setsockopt(socket.SOL_SOCKET, timeout, struct.pack("ll", PATIENCE, 0))
        return made

    def listen(self, family: socket.AddressFamily, port: int, *, fast_open: bool = False) -> socket.socket:
        """A listening socket."""
        listener = self.tcp(family)
        listener.bind((self.address(family), port))
        if fast_open:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
        listener.listen()
        return listener

    def set(self, name: str, value: str) -> None:
        """Set a sysctl of the namespace, named by its path below net."""
        self.inside(lambda: Path("/proc/sys/net", name).write_text(value))

    def nft(self, *commands: str) -> None:
        """Run nft in the namespace."""
        for command in commands:
            ip("netns", "exec", self.name, needs("nft"), command)


class Link(NamedTuple):
    """The two hosts at the ends of the cable."""

    client: Host
    server: Host


@contextmanager
def link() -> Iterator[Link]:
    """Two hosts and the cable between them, gone afterwards whatever happens."""
    hosts = Link(
        Host(f"tiopt-{os.getpid()}-a", "10.77.0.1", "fd77::1"),
        Host(f"tiopt-{os.getpid()}-b", "10.77.0.2", "fd77::2"),
    )
    with ExitStack() as stack:
        for host in hosts:
            ip("netns", "add", host.name)
            stack.callback(ip, "netns", "delete", host.name)  # takes the cable along
        peer = ("peer", "name", "cable", "netns", hosts.server.name)
        ip("link", "add", "cable", "netns", hosts.client.name, "type", "veth", *peer)
        for host in hosts:
            ip("-n", host.name, "address", "add", f"{host.ipv4}/30", "dev", "cable")
            # Without nodad the address could not be used for the first second.
            ip("-n", host.name, "address", "add", f"{host.ipv6}/64", "dev", "cable", "nodad")
            ip("-n", host.name, "link", "set", "cable", "up")
        yield hosts


class Dump(NamedTuple):
    """A capture that tcpdump is writing, or has written."""

    path: Path

    def segments(self) -> list[Segment]:
        """What has been written so far, less what is half written."""
        found: list[Segment] = []
        with suppress(CaptureError), Capture(str(self.path)) as capture:
            found += (segment for segment in capture.segments() if isinstance(segment, Segment))
        return found

    def wait(self, what: str, shown: Callable[[list[Segment]], bool]) -> None:
        """Return as soon as the capture shows it."""
        wait_for(what, lambda: shown(self.segments()))


@contextmanager
def tcpdump(host: Host, path: Path, *words: str, only: str = "tcp") -> Iterator[Dump]:
    """Capture at a host while the context lasts; tcpdump, told more by `words`, has ended when it is left."""
    # Immediate mode: a packet still waiting in the kernel when tcpdump is stopped would be missing.
    command = [
        needs("ip"),
        "netns",
        "exec",
        host.name,
        needs("tcpdump"),
        "-i",
        "cable",
        "-U",
        "--immediate-mode",
        *words,
    ]
    # Written through a file opened here, because tcpdump gives up the rights to open one in our directory.
    with path.open("wb") as out, (path.with_suffix(".log")).open("w+") as log:
        process = subprocess.Popen([*command, "-w", "-", only], stdout=out, stderr=log)
        try:
            wait_for("tcpdump to listen", lambda: _listening(process, log))
            yield Dump(path)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    assert process.returncode == 0, path.with_suffix(".log").read_text()


def _listening(process: subprocess.Popen[bytes], log: IO[str]) -> bool:
    log.seek(0)
    said = log.read()
    assert process.poll() is None, said
    return "listening on" in said
