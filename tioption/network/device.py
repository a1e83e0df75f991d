"""A host without a clock or a socket, a device that carries its packets, and the loop between them."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final, Protocol

_BATCH: Final = 64
"""Packets taken from a device before the host may answer."""


class Host(Protocol):
    """Raw IP packets in and out, times in nanoseconds since 1970."""

    def packets_to_send(self, now: int) -> list[bytes]:
        """What is to be sent now."""

    def receive_packet(self, packet: bytes, now: int) -> None:
        """Take a packet that has arrived."""

    def next_timer(self) -> int | None:
        """When `handle_timer` has to be called, None as long as nothing depends on time."""

    def handle_timer(self, now: int) -> None:
        """Do what is due."""


class Device(Protocol):
    """What carries raw IP packets; never blocks."""

    def fileno(self) -> int:
        """The descriptor that can be read when a packet has arrived."""

    def read(self) -> bytes | None:
        """The next packet, None where there is none now."""

    def write(self, packet: bytes) -> bool:
        """Send a packet; False where the kernel does not take it."""

    def close(self) -> None:
        """Carry nothing more."""


Tap = Callable[[int, bytes], object]
"""Sees a packet that passes, with its time in nanoseconds since 1970."""


def drive(host: Host, device: Device, done: Callable[[], bool], tap: Tap | None = None) -> None:
    """Let a host do its work over a device until `done`, or until it waits for nothing that has a time.

    `tap` sees every packet as it passes, sent or arrived. Blocks meanwhile.
    """
    while True:
        now = time.time_ns()
        for packet in host.packets_to_send(now):
            if tap is not None:
                tap(now, packet)
            device.write(packet)
        if done():
            return
        timer = host.next_timer()
        if timer is None:
            return
        ready, _, _ = select.select([device], [], [], max(0, timer - time.time_ns()) / 1e9)
        now = time.time_ns()
        for _ in range(_BATCH if ready else 0):
            arrived = device.read()
            if arrived is None:
                break
            if tap is not None:
                tap(now, arrived)
            host.receive_packet(arrived, now)
        host.handle_timer(now)
