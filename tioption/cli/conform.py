"""`tiopt conform`: a host that listens, held against the rules by a tester that opens flows and breaks them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, MachineError, Option, UsageError, chosen_kinds


def run(  # noqa: PLR0913, PLR0917  every option is a parameter
    target: list[str],
    only: list[str],
    list: bool,  # noqa: A002
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
    kinds = chosen_kinds(kind_d, kind_c)
    if len(target) != 2:
        raise UsageError(f"expected HOST and PORT, found {len(target)} words")
    host, port = target[0], _port(target[1])
    folder = _folder(pcap_dir)
    addresses = _addresses(host, port)
    report = _Report(format, folder, len(checks))
    results = _test(addresses, port, checks, variant, kinds, timeout, report.add)
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


def _port(word: str) -> int:
    if not (word.isascii() and word.isdigit() and 0 < int(word[:9]) <= 65535):
        raise UsageError(f"expected a port from 1 to 65535, found {word!r}")
    return int(word)


def _folder(name: str | None) -> Path | None:
    if name is None:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--pcap-dir {name}: {(error.strerror or str(error)).lower()}") from None
    return folder


def _addresses(host: str, port: int) -> tuple[str, str]:
    """An own address, and that of the host, of one family."""
    import socket

    from tioption.conform import Unreachable

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host}: {getattr(error, 'strerror', None) or 'no such host'}") from None
    why = ""
    for family, _, _, _, there in found:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(there)  # sends nothing: the kernel only says from where it would
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                continue
            return str(probe.getsockname()[0]), str(there[0])
    raise Unreachable(f"{host}: {why or 'no address'}")


def _test(
    addresses: tuple[str, str],
    port: int,
    checks: list[Any],
    variant: str,
    kinds: Any,
    timeout: int,
    on_result: Callable[[Any], object],
) -> list[Any]:
    """The results of the checks; raises MachineError without the right to speak from raw sockets."""
    from ipaddress import ip_address
    from secrets import randbits

    from tioption.conform import Run, Setting, Unreachable
    from tioption.conform.case import SECOND
    from tioption.network import RawPorts, drive
    from tioption.option import Variant

    local, remote = addresses
    try:
        device = RawPorts()
    except PermissionError:
        python = os.path.realpath(sys.executable)
        raise MachineError(
            f"speaking TCP from user space needs the capability CAP_NET_RAW: run tiopt with sudo, or give it to the "
            f"Python that runs it, and so to all its programs: sudo setcap cap_net_raw+ep {python}"
        ) from None
    except AttributeError:
        raise MachineError("tiopt conform needs Linux and its packet sockets") from None
    try:
        setting = Setting(
            ip_address(local).packed,
            ip_address(remote).packed,
            port,
            Variant(variant),
            kinds,
            randbits,
            lambda: device.claim(local),
            timeout * SECOND,
        )
        testing = Run(setting, checks, on_result)
        drive(testing, device, lambda: testing.done)
    finally:
        device.close()
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

    def end(self, results: list[Any], host: str, port: int, variant: str) -> int:
        """Everything is done: the report, and the exit status."""
        from tioption.conform import Verdict
        from tioption.conform.report import in_order, junit, lines, row_of, summary, summary_line

        if self._progress:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
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
    "Test an implementation of the option that listens at a port against the rules, one check a rule: the tester opens "
    "flows, breaks, resumes and misuses them, and holds what comes back against the rule. Nothing is judged by what "
    "the host says of itself. Most is learnt from a service that sends back what it gets. Linux, with CAP_NET_RAW; "
    "exit status 1 where a rule is broken, 3 where the host cannot be reached.",
    (
        "tiopt conform --list",
        "tiopt conform 192.0.2.7 7",
        "tiopt conform --only RES-04,RES-05 --pcap-dir /tmp/run 192.0.2.7 7",
        "tiopt conform --format junit 192.0.2.7 7 > report.xml",
    ),
    Argument("target", "HOST PORT", "The host that listens, by name or address, and its port.", required=False),
    (
        Option("only", ("--only",), "Only these rules; may be given several times.", "RULE", repeated=True),
        Flag("list", ("--list", "-l"), "List the rules: what is tested, and why others cannot be."),
        Option(
            "variant",
            ("--variant",),
            "The variant whose flows are opened.",
            default="flow-d",
            choices=("flow-d", "flow-c"),
        ),
        Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json", "junit")),
        Option("pcap_dir", ("--pcap-dir",), "Write the packets of each check into this folder.", "DIR"),
        Option("timeout", ("--timeout",), "Seconds an answer may take.", "SECONDS", 3, int, least=1, most=60),
        *KIND_OPTIONS,
    ),
    run,
)
