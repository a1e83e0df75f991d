"""A host on this machine, for the commands that are one: what carries its packets, what it records, what it says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tioption.cli.declare import KIND_OPTIONS, Flag, MachineError, Option, UsageError, chosen_kinds
from tioption.cli.packets import raw_ports, recording

if TYPE_CHECKING:
    from tioption.endpoint import AsyncHost, IsolationBoundary, Stack
    from tioption.endpoint.events import EndpointEvent
    from tioption.network import RawPorts, Tun

Say = Callable[[str], object]
"""Says something on standard error."""

OPTIONS: tuple[Option | Flag, ...] = (
    Option("variant", ("--variant",), "Flow-d, or flow-c.", "", "flow-d", choices=("flow-d", "flow-c")),
    Flag("plain", ("--plain",), "Plain TCP, without the option."),
    Option("exec", ("--exec", "-e"), "Give the conversation to a shell command's input and output.", "COMMAND"),
    Option(
        "tun",
        ("--tun",),
        "Speak from this address, on a TUN device made for it; may be given several times.",
        "ADDRESS",
        repeated=True,
    ),
    Option("pcap", ("--pcap",), "Record what is sent and heard in a capture.", "FILE"),
    Option("log", ("--log",), "Write what the endpoint decides, and why, as JSON Lines.", "FILE"),
    Flag("quiet", ("--quiet", "-q"), "Say nothing on standard error but errors."),
    *KIND_OPTIONS,
)
"""The options of a command that is a host."""


class Settings(NamedTuple):
    """What those options say."""

    variant: str
    plain: bool
    exec: str | None
    tun: list[str]
    pcap: str | None
    log: str | None
    quiet: bool
    kind_d: int
    kind_c: int

    @property
    def say(self) -> Say:
        """What says how things stand."""
        return _silent if self.quiet else say


def say(text: str) -> None:
    """Say something on standard error, at once."""
    sys.stderr.write(f"tiopt: {text}\n")
    sys.stderr.flush()


def _silent(_text: str) -> None:
    pass


def run(work: Coroutine[Any, Any, int]) -> int:
    """Do it until it is done, or somebody has had enough (Ctrl-C, SIGTERM); return the exit status."""
    from signal import SIGTERM

    async def until_terminated() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_terminated())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0


@asynccontextmanager
async def host(settings: Settings, port: int | None = None) -> AsyncIterator[AsyncHost]:
    """The host, its device and its files, until the context is left; it answers at `port` where there is one."""
    from secrets import randbits, token_bytes
    from signal import SIGUSR1

    from tioption.endpoint import AsyncHost, EventLog, Stack, StackConfig, TcpConfig
    from tioption.endpoint.device import DeviceLink
    from tioption.network import Tap, Tun, least_mtu, source_address

    _raise_limit()
    async with AsyncExitStack() as stack:
        tap: Tap | None = None
        if settings.pcap is not None:
            tap = stack.enter_context(recording(settings.pcap))
        log = None
        if settings.log is not None:
            lines = stack.enter_context(_opened(settings.log, "--log"))
            log = EventLog(lambda line: lines.write(f"{line}\n".encode()), "tiopt")
        kinds = chosen_kinds(settings.kind_d, settings.kind_c)
        config = StackConfig(enabled=not settings.plain, kinds=kinds, tcp=TcpConfig(mtu=least_mtu()))
        tcp = Stack([], config, bits=randbits, secret=token_bytes(16), log=log)
        device = _device(settings)
        link = DeviceLink(device, tap)
        this = AsyncHost(tcp, link, observer=lambda boundary, event: _tell(settings.say, boundary, event))
        stack.callback(this.close)
        if isinstance(device, Tun):
            _route(device, tcp, settings)
        else:
            _claim(device, port)
            tcp.route = source_address
            stack.enter_context(_addresses(this))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(SIGUSR1, _resume_all, this)
        stack.callback(loop.remove_signal_handler, SIGUSR1)
        yield this


def _raise_limit() -> None:
    """Allow as many open files as this process may have: ports and commands take some each."""
    try:
        from resource import RLIMIT_NOFILE, getrlimit, setrlimit
    except ImportError:  # no Linux, which will be said in a moment
        return
    _, most = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (most, most))


def _opened(name: str, option: str) -> IO[bytes]:
    try:
        return Path(name).open("wb", buffering=0)
    except OSError as error:
        raise UsageError(f"{option} {name}: {(error.strerror or str(error)).lower()}") from None


def _device(settings: Settings) -> RawPorts | Tun:
    """What carries the packets; raises MachineError without the right to it."""
    if not settings.tun:
        return raw_ports()
    from tioption.network import Tun

    try:
        return Tun()
    except FileNotFoundError:
        raise MachineError("--tun needs Linux with /dev/net/tun: sudo modprobe tun") from None
    except PermissionError:
        raise MachineError("--tun needs the capability CAP_NET_ADMIN: run tiopt with sudo") from None


def _route(device: Tun, tcp: Stack, settings: Settings) -> None:
    """Give the addresses asked for to the host on the device."""
    from ipaddress import ip_address

    from tioption.network import forwards

    try:
        own = [str(ip_address(one)) for one in settings.tun]
    except ValueError as error:
        raise UsageError(f"--tun: expected an IPv4 or IPv6 address: {error}") from None
    try:
        device.route(*own)
    except FileNotFoundError:
        raise MachineError("--tun needs ip: apt install iproute2, or dnf install iproute") from None
    except OSError as error:
        raise MachineError(f"--tun: {error}") from None
    for one in own:
        tcp.add_address(one, 0)
        reach = "" if forwards(one) else ", which only this machine reaches: it does not forward packets"
        settings.say(f"on {device.name} as {one}{reach}")


def _claim(device: RawPorts, port: int | None) -> None:
    """Take the port to listen at from the kernel."""
    try:
        if port is not None:
            device.claim("", port)
    except OSError as error:
        raise UsageError(f"port {port}: {(error.strerror or str(error)).lower()}") from None


@contextmanager
def _addresses(this: AsyncHost) -> Iterator[None]:
    """Let the host have the machine's addresses, as they come and go, until the context is left."""
    from tioption.network import Addresses

    watched, loop = Addresses(), asyncio.get_running_loop()
    for address in watched.now:
        this.stack.add_address(address, this.now)

    def changed() -> None:
        for address, lost in watched.changes():
            if lost:
                this.stack.remove_address(address, this.now)
            else:
                this.stack.add_address(address, this.now)
        this.pump()

    loop.add_reader(watched.fileno(), changed)
    try:
        yield
    finally:
        loop.remove_reader(watched.fileno())
        watched.close()


def _resume_all(this: AsyncHost) -> None:
    """Carry every flow on over another connection, as the user asked."""
    for boundary in list(this.conversations):
        boundary.resume(this.now)
    this.pump()


def _tell(saying: Say, boundary: IsolationBoundary, event: EndpointEvent) -> None:
    """What has become of a flow, for people."""
    from tioption.endpoint import events

    match event:
        case events.FlowBroken(why):
            what = "resuming it" if boundary.may_resume else "waiting for the other side to resume it"
            saying(f"flow {boundary.tifid}: the connection is broken ({why}); {what}")
        case events.FlowResumed(transport, outage):
            saying(f"flow {boundary.tifid}: carried on by connection {transport} after {outage / 1e6:.0f} ms")
        case events.ResumeRejected(why):
            saying(f"flow {boundary.tifid}: a resume has failed ({why})")
        case _:
            pass
