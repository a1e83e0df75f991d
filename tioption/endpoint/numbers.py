"""Numbers that strangers cannot guess, from a secret: ISNs, and where timestamps begin (RFC 6528, RFC 7323 §5.4)."""

from __future__ import annotations

from hashlib import blake2b

from tioption.packet import Ports
from tioption.seq import SEQ32


class Numbers:
    """The numbers of one host."""

    def __init__(self, secret: bytes) -> None:
        """Take a secret of 16 to 64 octets; raises ValueError for any other size."""
        if not 16 <= len(secret) <= 64:
            raise ValueError(f"expected a secret of 16 to 64 octets, found {len(secret)}")
        self._secret = secret

    def word(self, purpose: bytes, ports: Ports, more: bytes = b"") -> int:
        """32 bits that depend on a purpose of at most 16 octets, on a 4-tuple and on something more."""
        numbers = ports.sport.to_bytes(2, "big") + ports.dport.to_bytes(2, "big")
        message = ports.source + ports.destination + numbers + more
        return int.from_bytes(blake2b(message, key=self._secret, digest_size=4, person=purpose).digest(), "big")

    def isn(self, ports: Ports, now: int) -> int:
        """An initial sequence number: a clock of 4 µs and a secret offset a 4-tuple (RFC 6528 §3)."""
        return SEQ32.add(self.word(b"isn", ports), now // 4000)

    def clock_offset(self, ports: Ports) -> int:
        """Where the timestamps of a connection begin."""
        return self.word(b"timestamps", ports)
