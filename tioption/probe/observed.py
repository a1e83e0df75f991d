"""What a probe has seen: of one target, of one variant there, of one hop on the way. Values without a judgement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from tioption.option import FlowOption, Variant


class Answer(Enum):
    """What came back to a SYN; the value is the word users read."""

    SYN_ACK = "syn-ack"
    RESET = "rst"
    ICMP = "icmp"
    NOTHING = "nothing"


class Fate(Enum):
    """What became of an option on its way; the value is the word users read."""

    INTACT = "intact"
    """As it was sent; of a SYN-ACK's: as the rules ask (EST-04, EST-05; MAP-04 on a resume)."""
    ABSENT = "absent"
    OVERWRITTEN = "overwritten"
    """Padding stands in its place (MBX-02)."""
    ALTERED = "altered"
    ECHO = "echo"
    """A SYN-ACK has the option of the SYN (LEG-07)."""
    UNSEEN = "unseen"
    """Too little of the segment was quoted."""


class Confirmation(Enum):
    """What became of the third ACK's option; the value is the word users read."""

    ARRIVED = "arrived"
    """The host resumes the flow that it confirmed."""
    MISSING = "missing"
    """The host has let go of the flow (LEG-03, EST-08)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to a SYN, in one of `sent` transmissions; times in nanoseconds, None where nothing came."""

    answer: Answer
    sent: int
    rtt: int | None = None
    fate: Fate | None = None
    """Of the option in a SYN-ACK."""
    option: FlowOption | None = None
    """The option of a SYN-ACK that counts (OPT-04 … OPT-06), whatever it holds."""
    rules: tuple[str, ...] = ()
    """What the SYN-ACK's option breaks."""
    padding: int = 0
    """How many octets of a SYN-ACK's option area are NOP or EOL."""
    kinds: frozenset[int] = frozenset()
    """The kinds of the options in it, without padding and without those of flow options."""
    icmp: str = ""
    """What ICMP said, in words."""
    by: bytes = b""
    """Who said it."""


class Hop(NamedTuple):
    """One distance from here at which a SYN with the option ended."""

    number: int
    address: bytes | None
    """Who answered, None where nobody did."""
    answer: Answer
    """ICMP of a router on the way, or what the target said, or nothing."""
    fate: Fate | None
    """Of the option in what the router quotes."""
    changed: tuple[str, ...]
    """What else in the TCP header is not as it was sent."""
    rtt: int | None
    icmp: str = ""
    """What ICMP said other than that the hops were used up."""


@dataclass(frozen=True, slots=True)
class VariantSeen:
    """What became of one variant of the option."""

    variant: Variant
    syn: Reply | None = None
    """To the SYN of a new flow; None where the time was up before."""
    confirmation: Confirmation | None = None
    """None where nothing was to be confirmed."""
    resume: Reply | None = None
    """To the resume of a flow that the host has confirmed, or that it cannot know; None where it was not asked."""
    again: Reply | None = None
    """To a SYN without the option after one with it was not answered; None where it was not asked."""
    hops: tuple[Hop, ...] = ()
    complete: bool = False
    """Whether everything was tried that was to be."""


@dataclass(frozen=True, slots=True)
class TargetSeen:
    """What was seen of one port of one address."""

    address: str
    port: int
    source: str
    control: Reply | None = None
    """To a SYN without the option; None where the time was up before."""
    variants: tuple[VariantSeen, ...] = ()
    packets: int = 0
    """Packets sent to it."""
    duration: int = 0
    """Nanoseconds from the first packet to the end."""
