"""`tiopt conform`: a host that listens, held against the rules by a tester that opens flows and breaks them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds
from tioption.cli.packets import Carrier, addresses, port_number, raw_ports, source_for


def run(  # noqa: PLR0913, PLR0917  every option is a parameter
    words: list[str],
    only: list[str],
    list: bool,  # noqa: A002
    ipv4: bool,
    ipv6: bool,
    variant: str,
    format: str,  # noqa: A002
    pcap_dir: str | None,
    timeout: int,
    kind_d: int,
    kind_c: int,
) -> int:
    """Run the checks against a host, or list them; return the exit status."""
    from tioption.conform import CHECKS

    checks = [CHECKS[rule] for rule in _chosen(only)] if only else [*CHECKS.values()]
    if list:
        _list(format, checks, whole=not only)
        return 0
    settings = variant, chosen_kinds(kind_d, kind_c), timeout
    if len(words) != 2:
        raise UsageError("expected a host and a port, as in: tiopt conform 192.0.2.7 7")
    host, port = words[0], port_number(words[1])
    there = addresses(host, ipv4=ipv4, ipv6=ipv6)
    report = _Report(format, _folder(pcap_dir), len(checks))
    try:
        results = _test(host, there, port, checks, settings, report.add)
    finally:
        report.clear()
    return report.end(results, host, port, variant)


def _chosen(words: list[str]) -> list[str]:
    """The rules that are meant, each once, in their order."""
    from tioption.conform import CHECKS, UNTESTABLE

    chosen = set()
    for word in (part for words_ in words for part in words_.split(",") if part):
        rule = word.upper()
        if rule in UNTESTABLE:
            raise UsageError(f"--only {word}: cannot be tested from outside; this rule {UNTESTABLE[rule]}")
        if rule not in CHECKS:
            from difflib import get_close_matches

            nearest = get_close_matches(rule, CHECKS)
            hint = f"the nearest are {', '.join(nearest)}" if nearest else "--list has all of them"
            raise UsageError(f"--only {word}: no such rule; {hint}")
        chosen.add(rule)
    return [rule for rule in CHECKS if rule in chosen]


def _folder(name: str | None) -> Path | None:
    if name is None:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--pcap-dir {name}: {(error.strerror or str(error)).lower()}") from None
    return folder


def _test(
    host: str,
    there: list[str],
    port: int,
    checks: list[Any],
    settings: tuple[str, Any, int],
    on_result: Callable[[Any], object],
) -> list[Any]:
    """The results of the checks at the first address of the host that can be reached."""
    from ipaddress import ip_address
    from secrets import randbits

    from tioption.conform import Run, Setting, Unreachable
    from tioption.endpoint.rtt import SECOND
    from tioption.network import drive
    from tioption.option import Variant

    variant, kinds, timeout = settings
    routes = [(address, *source_for(address)) for address in there]
    remote, local, why = next((route for route in routes if route[1]), routes[0])
    if not local:
        raise Unreachable(f"{host}: {why}")
    device = Carrier(raw_ports())
    try:
        setting = Setting(
            local,
            remote,
            port,
            bits=randbits,
            claim=lambda: device.claim(ip_address(local).packed),
            variant=Variant(variant),
            kinds=kinds,
            timeout=timeout * SECOND,
        )
        testing = Run(setting, checks, on_result)
        drive(testing, device, lambda: testing.done)
    finally:
        device.close()
        device.remark()
    if testing.unreachable is not None:
        raise Unreachable(f"{remote} port {port}: {testing.unreachable}")
    return testing.results


class _Report:
    """Writes results: progress and captures as they come, the rest in the order of the rules at the end."""

    def __init__(self, form: str, folder: Path | None, count: int) -> None:
        self._form = form
        self._folder = folder
        self._count = count
        self._done = 0
        self._progress = sys.stderr.isatty()

    def add(self, result: Any) -> None:
        """A check has ended."""
        from tioption.conform.report import capture

        self._done += 1
        if self._progress:
            sys.stderr.write(f"\r\x1b[K{self._done}/{self._count}  {result.rule}")
            sys.stderr.flush()
        if self._folder is not None and result.packets:
            self._path(result).write_bytes(capture(result))

    def _path(self, result: Any) -> Path:
        assert self._folder is not None
        return self._folder / f"{result.rule}.pcap"

    def clear(self) -> None:
        """Take the progress from the screen."""
        if self._progress:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def end(self, results: list[Any], host: str, port: int, variant: str) -> int:
        """Everything is done: the report, and the exit status."""
        from tioption.conform import Verdict
        from tioption.conform.report import in_order, junit, lines, row_of, summary, summary_line

        ordered = in_order(results)
        row = summary(ordered, host, port, variant)
        if self._form == "junit":
            sys.stdout.write(junit(ordered, f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"))
        elif self._form == "json":
            for one in ordered:
                written = self._folder is not None and one.packets
                sys.stdout.write(dumps(row_of(one, str(self._path(one)) if written else None)) + "\n")
            sys.stdout.write(dumps(row) + "\n")
        else:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            sys.stdout.writelines(lines(one, colour=colour) for one in ordered)
            sys.stdout.write(summary_line(row))
        return int(any(one.verdict is Verdict.FAIL for one in results))


def _list(form: str, checks: list[Any], *, whole: bool) -> None:
    from tioption.conform.report import listing

    if form == "junit":
        raise UsageError("--list prints text or json")
    for row in listing(checks):
        if not (whole or row["tested"]):
            continue
        if form == "json":
            sys.stdout.write(dumps(row) + "\n")
        else:
            sys.stdout.write(f"{row['rule']}  {'tested' if row['tested'] else '-     '}  {row['text']}\n")


COMMAND = Command(
    "conform",
    "Test a host that listens against the rules.",
    "Test an implementation of the option that listens at a port against the rules, a check for each that shows from "
    "outside: the tester opens flows, resumes them, breaks them and misuses them, and holds what comes back against "
    "the rule. Most is learnt from a service that sends back what it gets. Needs the capability CAP_NET_RAW. The exit "
    "status is 1 where a rule is broken, and 3 where nobody answers. Test hosts whose owners do not mind.",
    (
        "tiopt conform --list",
        "sudo tiopt conform 192.0.2.7 7",
        "sudo tiopt conform 192.0.2.7 7 --only RES-04,RES-05 --pcap-dir run",
        "sudo tiopt conform 192.0.2.7 7 --format junit > report.xml",
    ),
    Argument("words", "HOST PORT", "A name or an address, and the port it listens at.", required=False),
    (
        Option("only", ("--only",), "Only these rules; may be given several times.", "RULE", repeated=True),
        Flag("list", ("--list", "-l"), "List the rules: how each is tested, or why it cannot be."),
        Flag("ipv4", ("-4", "--ipv4"), "Only an IPv4 address of the host."),
        Flag("ipv6", ("-6", "--ipv6"), "Only an IPv6 address of the host."),
        Option("variant", ("--variant",), "Which flows to open.", "", "flow-d", choices=("flow-d", "flow-c")),
        Option("format", ("--format", "-f"), "Output format.", default="text", choices=("text", "json", "junit")),
        Option("pcap_dir", ("--pcap-dir",), "Write a capture of each check into this folder.", "DIR"),
        Option("timeout", ("--timeout",), "Seconds an answer may take.", "N", 3, int, least=1, most=600),
        *KIND_OPTIONS,
    ),
    run,
)
