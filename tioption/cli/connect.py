"""`tiopt connect`: open a conversation that outlives its connection, and bring octets to and fro."""

from __future__ import annotations

from typing import Any

from tioption.cli.declare import Argument, Command, Flag, Option, UsageError
from tioption.cli.host import OPTIONS, Settings, host, say
from tioption.cli.host import run as run_host
from tioption.cli.packets import addresses, port_number


def run(words: list[str], ipv4: bool, ipv6: bool, source: str | None, **options: Any) -> int:
    """Converse with a host, by the options of one on this machine; return the exit status."""
    if len(words) != 2:
        raise UsageError(f"expected a host and a port, found {' '.join(words)}")
    port = port_number(words[1])
    return run_host(_connect(addresses(words[0], ipv4=ipv4, ipv6=ipv6), port, Settings(**options), source))


async def _connect(there: list[str], port: int, settings: Settings, source: str | None) -> int:
    from tioption.cli.netcat import converse
    from tioption.endpoint import open_connection
    from tioption.option import Variant

    chosen = Variant(settings.variant)
    async with host(settings) as this:
        for address in there:
            try:
                reader, writer = await open_connection(
                    this, address, port, source=source, variant=chosen, option=not settings.plain
                )
            except OSError as error:
                say(f"{address} port {port}: {error}")
                continue
            return 0 if await converse(reader, writer, settings.exec, settings.say) else 3
    return 3


COMMAND = Command(
    "connect",
    "Open a conversation that outlives its connection, like netcat.",
    "Open a TCP connection to PORT of HOST with the flow option, and bring octets between it and standard input and "
    "output. When a NAT or firewall forgets the connection, or this machine's address changes, the conversation is "
    "carried on over another one, and nothing is lost; SIGUSR1 makes it so at once. A host that does not know the "
    "option gets plain TCP. The endpoint speaks from this machine's addresses beside its kernel, or from one of its "
    "own (--tun). Whoever sees the handshake can take the flow over (SEC-05): use TLS or SSH above it.",
    (
        "tiopt connect server.example 7000 < file",
        "tiopt connect 198.51.100.2 7 --pcap connect.pcap",
        "ssh -o ProxyCommand='tiopt connect -q %h 2222' server.example",
    ),
    Argument("words", "HOST PORT", "Where to connect to: a name or an address, and a port."),
    (
        Flag("ipv4", ("-4", "--ipv4"), "IPv4 only."),
        Flag("ipv6", ("-6", "--ipv6"), "IPv6 only."),
        Option("source", ("--source", "-s"), "The own address to connect from.", "ADDRESS"),
        *OPTIONS,
    ),
    run,
)
