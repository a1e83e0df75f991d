"""Packet sockets: what Python's socket module has no names for, and what every user of one has to do with it.

Linux. Sources: packet(7), socket(7) on SO_ATTACH_FILTER.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from struct import Struct, pack
from typing import Final

from tioption.capture.packet_filter import Step, assemble, encode

# On every architecture Linux has but Alpha, MIPS, PA-RISC and SPARC.
_SO_RCVBUF_FORCE, _SO_ATTACH_FILTER = 33, 26

SOL_PACKET: Final = 263
PACKET_STATISTICS, PACKET_AUXDATA = 6, 8
ETH_P_ALL: Final = 3

AUXDATA: Final = Struct("=IIIHH").unpack_from
"""What PACKET_AUXDATA says: status, octets on the wire, octets kept, where the link and the network header are."""

NOTHING: Final = encode(assemble([Step("ret", 0)]))
"""The filter that lets nothing through."""


def attach(made: socket.socket, program: bytes) -> None:
    """Let a socket hear only what a filter lets through."""
    octets = create_string_buffer(program)
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("@HP", len(program) // 8, addressof(octets)))


def silence(made: socket.socket) -> None:
    """Let a packet socket hear nothing more, and forget what it has heard so far."""
    attach(made, NOTHING)
    with suppress(BlockingIOError):
        while True:
            made.recv(1, socket.MSG_DONTWAIT)
    made.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)


def make_room(made: socket.socket, octets: int) -> None:
    """Let a socket keep so many octets that nobody has read yet, or as many as the system allows."""
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUF_FORCE, octets)
    except PermissionError:  # needs CAP_NET_ADMIN; without it the system's limit holds
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
