"""A device as asyncio's hosts use it: read when the loop says that something has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from tioption.network.device import Device, Tap

_BATCH: Final = 64
"""Packets handed over before the loop has its turn again."""


class DeviceLink:
    """A link (`tioption.endpoint.aio.Link`) over a TUN device or ports of the machine's own addresses."""

    def __init__(self, device: Device, tap: Tap | None = None) -> None:
        """Carry packets over `device`, and show each to `tap` as it passes."""
        self._device = device
        self._tap = tap
        self._loop = asyncio.get_running_loop()

    def start(self, receive: Callable[[bytes], None]) -> None:
        """Begin to hand over packets that arrive."""
        self._loop.add_reader(self._device.fileno(), self._arrived, receive)

    def _arrived(self, receive: Callable[[bytes], None]) -> None:
        for _ in range(_BATCH):
            packet = self._device.read()
            if packet is None:
                return
            if self._tap is not None:
                self._tap(time.time_ns(), packet)
            receive(packet)

    def send(self, packet: bytes) -> None:
        """Take a packet; one that the kernel does not take is lost, as on any network."""
        if self._tap is not None:
            self._tap(time.time_ns(), packet)
        self._device.write(packet)

    def close(self) -> None:
        """Carry nothing more."""
        self._loop.remove_reader(self._device.fileno())
        self._device.close()
