"""What two SYNs agree on: MSS, window scaling, SACK, timestamps (RFC 9293 §3.2, RFC 7323, RFC 2018)."""

from __future__ import annotations

from typing import Final

from tioption.endpoint.config import TcpConfig
from tioption.endpoint.receiver import MAX_WINDOW
from tioption.endpoint.wire import TcpSegment
from tioption.option import FlowOption

TIMESTAMPS: Final = 12
"""Octets that timestamps take in every segment."""
MIN_MSS: Final = 64
_MAX_SHIFT: Final = 14
_DEFAULT_MSS: Final = 536
_DEFAULT_MSS_6: Final = 1220


class Negotiation:
    """What this side offers, what the other side said, and what follows from both."""

    __slots__ = ("_config", "_headers", "mss", "own_shift", "peer")

    def __init__(self, config: TcpConfig, headers: int, capacity: int) -> None:
        """Offer what the configuration allows; `headers` are octets of IP and TCP, `capacity` those of the window."""
        self._config = config
        self._headers = headers
        self.mss = config.mtu - headers
        self.own_shift = min(_MAX_SHIFT, max(0, capacity.bit_length() - MAX_WINDOW.bit_length()))
        self.peer = TcpSegment(0, 0, 0, 0)
        """The other side's SYN or SYN-ACK."""

    def syn(self, segment: TcpSegment, stamp: int, option: FlowOption | None) -> TcpSegment:
        """A SYN with everything this side offers."""
        config = self._config
        return segment._replace(
            mss=self.mss,
            window_scale=self.own_shift if config.window_scaling else None,
            sack_permitted=config.sack,
            timestamps=(stamp, 0) if config.timestamps else None,
            option=option,
        )

    def syn_ack(self, segment: TcpSegment, stamp: int, echo: int, option: FlowOption | None) -> TcpSegment:
        """A SYN-ACK with what the other side has offered, too."""
        return segment._replace(
            mss=self.mss,
            window_scale=self.own_shift if self.scaled else None,
            sack_permitted=self.sack,
            timestamps=(stamp, echo) if self.timestamps else None,
            option=option,
        )

    @property
    def scaled(self) -> bool:
        """Whether windows are scaled."""
        return self._config.window_scaling and self.peer.window_scale is not None

    @property
    def sack(self) -> bool:
        """Whether SACK is used."""
        return self._config.sack and self.peer.sack_permitted

    @property
    def timestamps(self) -> bool:
        """Whether every segment has timestamps."""
        return self._config.timestamps and self.peer.timestamps is not None

    @property
    def shift(self) -> int:
        """How far the window fields of this side are scaled."""
        return self.own_shift if self.scaled else 0

    @property
    def peer_shift(self) -> int:
        """How far those of the other side are."""
        return (self.peer.window_scale or 0) if self.scaled else 0

    @property
    def payload(self) -> int:
        """Octets of payload that a segment to the other side may have (RFC 6691)."""
        default = _DEFAULT_MSS if self._headers == 40 else _DEFAULT_MSS_6
        return max(MIN_MSS, self.fitting(min(self.peer.mss or default, self.mss)))

    def fitting(self, mss: int) -> int:
        """What of an MSS is left for payload beside the options of every segment."""
        return mss - (TIMESTAMPS if self.timestamps else 0)
