"""Work that has no end of its own: listening at an interface, and going on until somebody interrupts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tioption.cli.declare import MachineError, UsageError


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Leave what is done inside, without an error, at Ctrl-C and at SIGTERM: both say that it has been enough."""
    from signal import SIGTERM, default_int_handler, signal

    before = signal(SIGTERM, default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal(SIGTERM, before)


@contextmanager
def listening(name: str, *, every: bool, on_wait: Callable[[], object]) -> Iterator[Any]:
    """An interface under capture; says so on standard error, as soon as nothing that passes is missed.

    Raises MachineError where this machine or this user cannot capture, UsageError where there is no such interface.
    """
    import socket

    if not hasattr(socket, "AF_PACKET"):
        raise MachineError(f"-i needs Linux; elsewhere: tcpdump -i {name} -U -w - tcp | tiopt decode -")
    from tioption.capture.interface import ANY, Interface, interfaces

    there = [*interfaces(), ANY]
    if name not in there:
        raise UsageError(f"no interface {name!r}; there are {', '.join(there)}")
    try:
        interface = Interface(name, every=every, on_wait=on_wait)
    except PermissionError:
        python = os.path.realpath(sys.executable)
        raise MachineError(
            f"capturing on {name} needs the capability CAP_NET_RAW: run tiopt with sudo, or give it to the Python that "
            f"runs it, and so to all its programs: sudo setcap cap_net_raw+ep {python}"
        ) from None
    with interface:
        what = "TCP segments" if every else "flow options"
        sys.stderr.write(f"tiopt: listening on {name} for {what}; Ctrl-C ends it\n")
        sys.stderr.flush()
        yield interface
