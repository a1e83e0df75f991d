"""OPT: the option itself, malformed, misplaced, and in company."""

from __future__ import annotations

from typing import Final

from tioption.capture.segment import ACK, FIN
from tioption.conform.case import Case, Script
from tioption.conform.outcome import NotApplicable
from tioption.conform.registry import Need, check
from tioption.conform.transport import MSS, Transport
from tioption.layout import LENGTH
from tioption.option import FlowOption, Tifid, Variant
from tioption.packet import NOP, mss

_FAST_OPEN: Final = 34
_UNKNOWN_EXID: Final = bytes.fromhex("1e071e07")


def _ignored(case: Case, area: bytes, what: str) -> Script[None]:
    """A SYN with this option area is answered as one without the option is."""
    transport = yield from case.open(area=area)
    answer = transport.answer
    if answer is None:
        raise NotApplicable(f"the host does not answer a SYN with {what} (LEG-08)")
    case.require(answer.flow is None, f"a SYN-ACK without the option to a SYN with {what}", answer)


@check("OPT-01", Need.OPTION)
def other_lengths(case: Case) -> Script[None]:
    """A SYN whose option has 19 or 21 octets is one without the option."""
    octets = case.offer().encode(case.setting.kinds)
    for length in (LENGTH - 1, LENGTH + 1):
        area = mss(MSS) + bytes((octets[0], length)) + (octets + b"\0")[2:length]
        yield from _ignored(case, area, f"an option of {length} octets")


@check("OPT-03", Need.OPTION)
def experiment_identifiers(case: Case) -> Script[None]:
    """A SYN whose option has an experiment identifier of 2 or 4 octets is one without the option."""
    octets = case.offer().encode(case.setting.kinds)
    for size in (2, 4):
        area = mss(MSS) + bytes((octets[0], LENGTH + size)) + _UNKNOWN_EXID[:size] + octets[2:]
        yield from _ignored(case, area, f"an option of {LENGTH + size} octets")


@check("OPT-04", Need.OPTION)
def twice(case: Case) -> Script[None]:
    """A SYN with the option twice is one without."""
    area = b"".join(case.offer().encode(case.setting.kinds) for _ in range(2))
    yield from _ignored(case, area, "two options of a kind")


@check("OPT-05", Need.OPTION)
def both_kinds(case: Case) -> Script[None]:
    """A SYN with Flow-D and Flow-C is one without the option."""
    area = b"".join(case.offer(variant=variant).encode(case.setting.kinds) for variant in Variant)
    yield from _ignored(case, area, "both kinds")


@check("OPT-06", Need.OPTION)
def first_half_zero(case: Case) -> Script[None]:
    """A SYN whose first half is zero is one without the option."""
    option = case.offer().replace(tifid=Tifid(0))
    yield from _ignored(case, mss(MSS) + option.encode(case.setting.kinds), "a first half of zero")


@check("OPT-07", Need.RESUME)
def second_half_zero(case: Case) -> Script[None]:
    """A third ACK whose second half is zero confirms nothing.

    A resume of the flow is then refused.
    """
    flow = yield from case.agreed()
    half = flow.confirmation.replace(tifid=Tifid.from_halves(flow.tifid.first))
    flow.transport.confirm(half)
    yield from case.pause(case.quiet)
    case.refused((yield from case.attempted(flow)), "after a third ACK whose second half is zero")


@check("OPT-08", Need.FLOW)
def any_offset(case: Case) -> Script[None]:
    """The option is taken at any offset, and the SYN-ACK's is at a multiple of 4."""
    for padding in range(1, 4):
        area = mss(MSS) + NOP * padding + case.offer().encode(case.setting.kinds)
        transport = yield from case.open(area=area)
        answer = transport.answer
        found = answer if answer is not None else transport.told
        case.require(
            answer is not None and answer.flow, f"a SYN-ACK with the option to one at offset {4 + padding}", found
        )
        assert answer is not None
        offset = next(option.offset for option in answer.options if option.flow is not None)
        case.require(offset % 4 == 0, "the option at a multiple of 4 octets", f"it at offset {offset}")


@check("OPT-09", Need.FLOW)
def handshake_only(case: Case) -> Script[None]:
    """Nothing that the host sends after the handshake has the option.

    Octets are sent in several segments, answered where the service does so.
    """
    flow = yield from case.begun()
    for _ in range(2):
        yield from case.delivered(flow)
    yield from case.pause(case.quiet)
    for arrival in flow.transport.arrivals:
        segment = arrival.segment
        if not (segment.syn or segment.rst or segment.fin):
            case.require(arrival.flow is None, "no option after the handshake", arrival)


@check("OPT-10", Need.FLOW)
def resets_and_ends(case: Case) -> Script[None]:
    """RST and FIN of the host have no option, and a FIN that has one is a FIN.

    A RST is provoked by a resume of no flow.
    """
    flow = yield from case.begun()
    transport = flow.transport
    at = transport.nxt
    transport.segment(ACK | FIN, option=flow.confirmation)
    yield from case.until(
        lambda: transport.acked > at or transport.reset,
        again=lambda: transport.segment(ACK | FIN, at=at, option=flow.confirmation),
    )
    case.require(transport.acked > at, "a FIN with the option to be acknowledged", transport.told)
    yield from case.until(lambda: transport.fin, case.quiet)
    stranger = yield from case.attempted(flow, option=unknown_resume(case))
    yield from case.until(lambda: stranger.transport.reset, case.quiet)
    for arrival in (*transport.arrivals, *stranger.transport.arrivals):
        if arrival.segment.rst or arrival.segment.fin:
            case.require(arrival.flow is None, "no option on a RST or FIN", arrival)


def unknown_resume(case: Case) -> FlowOption:
    """The option of a resume of a flow that nobody has begun."""
    offer = case.offer()
    second = case.bits(24) or 1
    return offer.replace(tifid=Tifid.from_halves(offer.tifid.first, second), tiack=case.bits(48))


@check("OPT-11", Need.FLOW)
def beside_others(case: Case) -> Script[None]:
    """The SYN-ACK has an MSS beside the option, and no option beside a Fast Open cookie."""
    full, _, answer = yield from case.offered()
    case.require(answer.segment.mss is not None, "an MSS beside the option", f"{answer}, no MSS")
    case.require(full.stamped or answer.flow, "the option beside Linux's others", answer)
    request = bytes((_FAST_OPEN, 2))
    transport: Transport = yield from case.open(
        area=mss(MSS) + NOP + NOP + request + case.offer().encode(case.setting.kinds)
    )
    if transport.answer is not None:
        cookie = any(option.kind == _FAST_OPEN for option in transport.answer.options)
        case.require(not (cookie and transport.answer.flow), "a Fast Open cookie or the option", "both in one SYN-ACK")
