"""`tiopt probe`: what a host and the path to it do to the option."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds
from tioption.cli.packets import Carrier, addresses, port_number, raw_ports, recording, source_for

_VARIANTS = {"both": ("flow-d", "flow-c"), "flow-d": ("flow-d",), "flow-c": ("flow-c",)}


def run(  # noqa: PLR0913, PLR0917  every option is a parameter
    words: list[str],
    ipv4: bool,
    ipv6: bool,
    variant: str,
    hops: int,
    timeout: int,
    format: str,  # noqa: A002
    pcap: str | None,
    kind_d: int,
    kind_c: int,
) -> int:
    """Probe every port at every address of the host, print what was found as soon as it is; return the exit status."""
    from tioption.endpoint.rtt import SECOND
    from tioption.option import Variant
    from tioption.probe import Settings

    if len(words) < 2:
        raise UsageError("expected a host and at least one port, as in: tiopt probe example.net 443")
    host, ports = words[0], list(dict.fromkeys(port_number(word) for word in words[1:]))
    settings = Settings(
        variants=tuple(Variant(name) for name in _VARIANTS[variant]),
        kinds=chosen_kinds(kind_d, kind_c),
        hops=hops,
        timeout=timeout * SECOND,
    )
    places = [
        _Place(address, port, *source_for(address))
        for address in addresses(host, ipv4=ipv4, ipv6=ipv6)
        for port in ports
    ]
    with ExitStack() as stack:
        device = Carrier(raw_ports())
        stack.callback(device.close)
        tap = None if pcap is None else stack.enter_context(recording(pcap))
        _probe(host, places, settings, device, tap, format)
    device.remark()
    return 0


class _Place(NamedTuple):
    """A port of an address, and the address of this machine that reaches it, or why none does."""

    address: str
    port: int
    source: str
    why: str


def _probe(host: str, places: list[_Place], settings: Any, device: Carrier, tap: Any, form: str) -> None:
    """Probe the places, and print each as soon as it and all before it are done."""
    from secrets import randbits

    from tioption.network import drive
    from tioption.probe import Prober, Target

    targets = [Target(place.address, place.port, place.source) for place in places if place.source]
    prober = Prober(targets, settings, bits=randbits, claim=device.claim)
    printer = _printer(form)
    waiting = list(places)
    on_terminal = sys.stderr.isatty()
    shown = -1

    def done() -> bool:
        nonlocal shown
        results = iter(prober.results)
        for place in places:
            seen = next(results) if place.source else _no_route(place)
            if seen is None:
                break
            if waiting and waiting[0] is place:
                waiting.pop(0)
                if on_terminal:
                    sys.stderr.write("\r\x1b[K")
                printer(host, seen)
                sys.stdout.flush()
        if on_terminal and waiting and shown != len(waiting):
            shown = len(waiting)
            sys.stderr.write(f"\r\x1b[Kprobing: {len(places) - len(waiting)} of {len(places)} targets done")
            sys.stderr.flush()
        return prober.done

    try:
        drive(prober, device, done, tap)
    finally:
        if on_terminal:
            sys.stderr.write("\r\x1b[K")


def _no_route(place: _Place) -> Any:
    from tioption.probe import Answer, Reply, TargetSeen

    return TargetSeen(place.address, place.port, "", control=Reply(Answer.ICMP, 0, icmp=place.why))


def _printer(form: str) -> Callable[[str, Any], None]:
    """What prints a target: rows, plain lines, or lines in the terminal's colours that are wrapped to its width."""
    from tioption.probe import report

    if form == "json":
        from json import dumps

        return lambda host, seen: sys.stdout.writelines(dumps(row) + "\n" for row in report.rows(host, seen))
    if not sys.stdout.isatty():
        return lambda host, seen: sys.stdout.writelines(report.text(host, seen))

    from rich.padding import Padding
    from rich.text import Text

    from tioption.render.table import TableConsole

    console = TableConsole(sys.stdout)
    styles = {"good": "bold green", "plain": "bold yellow", "bad": "bold red", "unknown": "bold", "detail": "dim"}

    def printed(host: str, seen: Any) -> None:
        for line in report.lines(host, seen):
            if line.indent == 0:
                console.print(Text(line.head, style=styles[line.mood]))
                console.print(Padding(Text(line.text), (0, 0, 0, 4), expand=False))
            else:
                words = f"{line.head}  {line.text}" if line.head else line.text
                console.print(Padding(Text(words, style=styles[line.mood]), (0, 0, 0, line.indent), expand=False))

    return printed


COMMAND = Command(
    "probe",
    "Find out what a host and the path to it do to the option.",
    "Find out whether a host speaks the option, and whether the path strips, echoes, changes or drops it in the SYN, "
    "the SYN-ACK and the ACK. Connections with the option are tried and ended by RST, without a payload, beside one "
    "without it; where the SYN seems to be changed on its way, routers are asked what they see of it. Needs the "
    "capability CAP_NET_RAW. The option's kinds are meant for experiments: probe hosts whose owners do not mind.",
    (
        "sudo tiopt probe example.net 443",
        "sudo tiopt probe 192.0.2.7 22 80 443 --variant flow-d --format json",
        "sudo tiopt probe -6 example.net https --hops 20 --pcap probe.pcap",
    ),
    Argument("words", "HOST PORT...", "A name or an address, and the ports to probe at all its addresses."),
    (
        Flag("ipv4", ("-4", "--ipv4"), "Only the IPv4 addresses of the host."),
        Flag("ipv6", ("-6", "--ipv6"), "Only the IPv6 addresses of the host."),
        Option("variant", ("--variant",), "Which kind of option to try.", "", "both", choices=tuple(_VARIANTS)),
        Option("hops", ("--hops",), "How many hops are asked what they see; 0 asks none.", "N", 12, int, most=255),
        Option("timeout", ("--timeout",), "Seconds a target gets in all.", "N", 60, int, least=1, most=3600),
        Option("format", ("--format", "-f"), "Output format.", default="text", choices=("text", "json")),
        Option("pcap", ("--pcap",), "Record what is sent and what comes into this capture file.", "FILE"),
        *KIND_OPTIONS,
    ),
    run,
)
