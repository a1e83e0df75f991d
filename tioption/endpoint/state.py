"""The states of a transport (RFC 9293 §3.3.2)."""

from __future__ import annotations

from enum import Enum
from typing import Final


class TcpState(Enum):
    """Where a transport stands; the value is RFC 9293's name."""

    LISTEN = "LISTEN"
    """Waiting for its SYN."""
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"
    CLOSED = "CLOSED"


_S = TcpState

SYNCHRONIZED: Final = frozenset(_S) - {_S.LISTEN, _S.SYN_SENT, _S.SYN_RECEIVED, _S.CLOSED}
"""Both sides have each other's SYN."""

SENDING: Final = SYNCHRONIZED - {_S.FIN_WAIT_2, _S.TIME_WAIT}
"""Something may still have to be sent or sent again."""

RECEIVING: Final = frozenset({_S.ESTABLISHED, _S.FIN_WAIT_1, _S.FIN_WAIT_2})
"""The other side has not ended its stream."""

AFTER_OWN_FIN: Final = {_S.ESTABLISHED: _S.FIN_WAIT_1, _S.CLOSE_WAIT: _S.LAST_ACK}
"""Where sending the FIN leads."""

AFTER_FIN_ACKED: Final = {_S.FIN_WAIT_1: _S.FIN_WAIT_2, _S.CLOSING: _S.TIME_WAIT, _S.LAST_ACK: _S.CLOSED}
"""Where its acknowledgment leads."""

AFTER_PEER_FIN: Final = {
    _S.ESTABLISHED: _S.CLOSE_WAIT,
    _S.FIN_WAIT_1: _S.CLOSING,
    _S.FIN_WAIT_2: _S.TIME_WAIT,
}
"""Where the other side's FIN leads."""
