"""`tiopt mangle`: a capture sent through middleboxes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tioption.cli.declare import KIND_OPTIONS, Argument, Command, Flag, Option, UsageError, chosen_kinds


def run(  # noqa: PLR0913, PLR0917  every option is a parameter
    files: list[str],
    box: list[str],
    seed: int,
    at: str,
    client: str | None,
    list: bool,  # noqa: A002
    format: str,  # noqa: A002
    kind_d: int,
    kind_c: int,
) -> int:
    """Send the capture through the boxes, or list what boxes there are; return the exit status."""
    if list:
        _list(format)
        return 0
    if len(files) != 2:
        raise UsageError(f"expected two files, the capture and the one to write, not {len(files)}")
    name, out = files
    if out == "-" and sys.stdout.isatty():
        raise UsageError("a capture is not for a terminal: name a file, or send it into a pipe")
    recording = _recording(box, seed, at, client, chosen_kinds(kind_d, kind_c))
    status = _write(name, recording, out)
    sys.stderr.writelines(
        f"tiopt: {name}: {left.frames} frames left as they are: {_reason(left)}\n" for left in recording.left
    )
    return status


def _reason(left: Any) -> str:
    return f"{left.reason} (first: frame {left.first})"


def _recording(specs: list[str], seed: int, at: str, client: str | None, kinds: Any) -> Any:
    """The boxes asked for, on a path, with a recording to send through."""
    from ipaddress import ip_address
    from random import Random

    from tioption.errors import ParseError
    from tioption.middlebox import Path as BoxPath
    from tioption.middlebox import parse_chain
    from tioption.middlebox.recorded import Recording

    try:
        boxes = parse_chain(specs, Random(seed), kinds).boxes  # noqa: S311  a capture is made, not a secret
    except ParseError as error:
        raise UsageError(f"--box {error}") from None
    try:
        address = ip_address(client).packed if client is not None else None
    except ValueError:
        raise UsageError(f"--client: expected an IPv4 or IPv6 address, found {client!r}") from None
    return Recording(BoxPath(boxes), point=at, client=address)  # type: ignore[arg-type]


def _opened(out: str, name: str) -> IO[bytes]:
    """The file to write, which must not be the capture."""
    try:
        if out == "-":
            return open(sys.stdout.fileno(), "wb", closefd=False)
        if name != "-" and Path(out).exists() and Path(out).samefile(name):
            raise UsageError(f"{out} is the capture itself")
        return Path(out).open("wb")
    except OSError as error:
        raise UsageError(f"{out}: {(error.strerror or str(error)).lower()}") from None


def _write(name: str, recording: Any, out: str) -> int:
    """Send the capture through, as far as it can be read; return the exit status."""
    from tioption.build.capture_file import LINKTYPE_ETHERNET, file_header, record
    from tioption.capture import Capture
    from tioption.cli.progress import Progress
    from tioption.errors import CaptureError

    progress = Progress(visible=sys.stderr.isatty())
    status = 0
    try:
        with Capture(name, lambda source: progress.update(source.name, source.consumed, source.size)) as capture:
            records = _one_link_type(capture.records(), name)
            first = next(records, None)
            begin = [] if first is None else [first]
            with _opened(out, name) as file:
                link_type = LINKTYPE_ETHERNET if first is None else first.link_type
                file.write(file_header(link_type, nanoseconds=True))
                for time_ns, data, length in recording.frames(chain(begin, records)):
                    file.write(record(time_ns, data, length))
    except CaptureError as error:
        progress.clear()
        sys.stderr.write(f"tiopt: {error}\n")
        status = 3
    progress.clear()
    return status


def _one_link_type(records: Iterable[Any], name: str) -> Iterator[Any]:
    """The records as long as they have the link type of the first: a pcap file has one."""
    from tioption.capture.link import DECODED_LINK_TYPES, link_type_reason
    from tioption.errors import CaptureError

    first = None
    for one in records:
        if one.link_type not in DECODED_LINK_TYPES:
            raise CaptureError(
                "a link type that can be read", link_type_reason(one.link_type), file=name, frame=one.frame, offset=None
            )
        if first is None:
            first = one.link_type
        if one.link_type != first:
            expected = f"frames of link type {first} as before"
            raise CaptureError(expected, f"one of link type {one.link_type}", file=name, frame=one.frame, offset=None)
        yield one


def _list(form: str) -> None:
    from tioption.middlebox import BOXES

    if form == "json":
        from json import dumps

        for entry in BOXES.values():
            parameters = [
                {"name": one.name, "expects": one.kind.expects, "default": one.default, "text": one.text}
                for one in entry.parameters
            ]
            row = {"name": entry.name, "text": entry.text, "rules": [*entry.rules], "parameters": parameters}
            sys.stdout.write(dumps(row) + "\n")
        return
    for entry in BOXES.values():
        sys.stdout.write(f"{entry.name}  {entry.text}\n")
        for one in entry.parameters:
            default = f"; default {one.default}" if one.default is not None else ""
            sys.stdout.write(f"    {one.name}={one.kind.expects}{default}: {one.text}\n")


COMMAND = Command(
    "mangle",
    "Send a capture through middleboxes.",
    "Send a capture through middleboxes, and write what would be captured behind them. Each --box is a middlebox with "
    "its parameters, the first nearest to the host that opens connections (A). A recording does not react to what the "
    "path does; the same seed makes the same octets.",
    (
        "tiopt mangle --list",
        "tiopt mangle capture.pcap behind.pcap --box strip:segment=syn-ack",
        "tiopt mangle capture.pcap a.pcap --at a --box nat:after=40,how=rst --box delay:20ms,jitter=5ms",
        "tiopt mangle capture.pcap b.pcap --at b --box nat:after=40,how=rst --box delay:20ms,jitter=5ms",
    ),
    Argument("files", "IN OUT", "The capture, and the file to write; - is standard input or output.", required=False),
    (
        Option(
            "box",
            ("--box", "-b"),
            "A middlebox on the path from A to B; may be given several times.",
            "SPEC",
            repeated=True,
        ),
        Option("seed", ("--seed",), "What everything random is made from.", "N", 1, int, most=999_999_999),
        Option(
            "at",
            ("--at",),
            "Where OUT is captured: behind the path on both ways, or at host A or B.",
            "",
            "behind",
            choices=("behind", "a", "b"),
        ),
        Option("client", ("--client",), "A is this host, not who sent the first SYN.", "ADDRESS"),
        Flag("list", ("--list", "-l"), "List the middleboxes and their parameters."),
        Option("format", ("--format", "-f"), "How to list.", default="text", choices=("text", "json")),
        *KIND_OPTIONS,
    ),
    run,
)
