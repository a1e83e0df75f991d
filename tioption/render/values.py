"""Addresses, flags, ports and times as tcpdump and Wireshark write them."""

from __future__ import annotations

import time
from typing import Final

from tioption.capture.segment import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG

_LETTERS: Final = (
    (FIN, "F"),
    (SYN, "S"),
    (RST, "R"),
    (PSH, "P"),
    (ACK, "."),
    (URG, "U"),
    (ECE, "E"),
    (CWR, "W"),
    (AE, "e"),
)
_flags_texts: Final = tuple("".join(letter for bit, letter in _LETTERS if flags & bit) for flags in range(512))

_SERVICES: Final = {
    20: "ftp-data",
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    80: "http",
    110: "pop3",
    123: "ntp",
    143: "imap",
    179: "bgp",
    389: "ldap",
    443: "https",
    445: "microsoft-ds",
    587: "submission",
    636: "ldaps",
    853: "domain-s",
    993: "imaps",
    995: "pop3s",
    2049: "nfs",
    5201: "targus-getdata1",
    8080: "http-alt",
}


def flags_text(flags: int) -> str:
    """The flags as tcpdump's letters, "" where none is set."""
    return _flags_texts[flags]


def address_text(address: bytes) -> str:
    """An address of 4 or 16 octets in its usual notation (RFC 5952 for IPv6)."""
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}"
    from socket import AF_INET6, inet_ntop  # noqa: PLC0415  only IPv6 pays for the import

    return inet_ntop(AF_INET6, address)


def peer_text(address: bytes, port: int) -> str:
    """An address and a port as URLs have them (RFC 3986 §3.2.2)."""
    text = address_text(address)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def service_text(port: int) -> str:
    """The port's service name where it is one everybody knows, its number elsewhere; no system file is asked."""
    return _SERVICES.get(port) or str(port)


def seconds_text(time_ns: int) -> str:
    """Seconds since 1970 with 9 decimals."""
    sign, time_ns = ("-", -time_ns) if time_ns < 0 else ("", time_ns)
    return f"{sign}{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000:09d}"


class Clock:
    """Time of day in the local time zone, as tcpdump prints it: HH:MM:SS and 6 decimals."""

    def __init__(self) -> None:
        """Start without a remembered minute; consecutive frames mostly share theirs."""
        self._minute: int | None = None
        self._text = ""

    def text(self, time_ns: int | None) -> str:
        """The time of day of `time_ns`; what no calendar holds is printed as seconds since 1970."""
        if time_ns is None:
            return "--:--:--.------"
        seconds, fraction = divmod(time_ns, 1_000_000_000)
        minute, second = divmod(seconds, 60)
        if minute != self._minute:
            try:
                self._text = time.strftime("%H:%M:", time.localtime(minute * 60))
            except (ValueError, OverflowError, OSError):
                return seconds_text(time_ns)
            self._minute = minute
        return f"{self._text}{second:02d}.{fraction // 1000:06d}"
