"""`tiopt annotate`: the output of an ordinary tcpdump, with the flow option decoded in it."""

from __future__ import annotations

import os
import sys

from tioption.cli.declare import KIND_OPTIONS, Command, UsageError, chosen_kinds

_CHUNK = 1 << 16
_PATIENCE = 0.2
"""Seconds after which a dump that has not followed its line is not waited for any longer."""


def run(kind_d: int, kind_c: int) -> int:
    """Annotate standard input until it ends and return the exit status."""
    from select import select

    from tioption.render.annotate import Annotator

    annotator = Annotator(chosen_kinds(kind_d, kind_c))
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("expected the output of tcpdump on standard input: tcpdump -l -n tcp | tiopt annotate")
    source = sys.stdin.fileno()
    sys.stdout.flush()
    write, flush = sys.stdout.buffer.write, sys.stdout.buffer.flush
    while True:
        if annotator.holding and not select([source], [], [], _PATIENCE)[0]:
            write(annotator.flush())
            flush()
        octets = os.read(source, _CHUNK)
        write(annotator.feed(octets) if octets else annotator.close())
        flush()
        if not octets:
            return 0


COMMAND = Command(
    "annotate",
    "Decode the flow option in the output of an ordinary tcpdump.",
    "Decode the flow option in the output of an ordinary tcpdump, line by line as it comes. tcpdump prints all octets "
    "of kind 253; of kind 254 it drops most, which are taken from the packet's dump where there is one (-x). "
    "Everything else passes through unchanged.",
    (
        "tcpdump -l -n tcp | tiopt annotate",
        "tcpdump -l -n -x -i eth0 tcp | tiopt annotate",
        "tcpdump -n -v -r capture.pcap | tiopt annotate",
    ),
    None,
    KIND_OPTIONS,
    run,
)
