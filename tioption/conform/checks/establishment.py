"""EST: how a flow is established, when everything goes well and when the third ACK does not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tioption.conform.case import Case, Flow, Script
from tioption.conform.outcome import NotApplicable
from tioption.conform.registry import Need, check
from tioption.option import FlowOption, Tifid, Variant
from tioption.seq import SEQ48

_SAMPLES: Final = 8
_LEAST_POSITION: Final = 1 << 16


def samples(case: Case) -> Script[list[FlowOption]]:
    """The options of several SYN-ACKs."""
    found = []
    for _ in range(_SAMPLES):
        _, _, answer = yield from case.offered()
        assert answer.flow is not None
        found.append(answer.flow)
    return found


def pattern(values: Sequence[int], bits: int) -> str:
    """What makes values of so many bits guessable, each from the one before; empty where nothing is seen."""
    if len(set(values)) < len(values):
        return "one of them twice"
    steps = [(after - before) % (1 << bits) for before, after in pairwise(values)]
    if len(set(steps)) == 1:
        return f"steps of {steps[0]}"
    if all(step < 1 << (bits // 2) for step in steps):
        return "each a little above the one before"
    return ""


@check("EST-02", Need.OPTION)
def initial_positions(case: Case) -> Script[None]:
    """Initial positions are not small, do not repeat and do not count up, over several flows."""
    positions = [option.tiseq for option in (yield from samples(case))]
    small = [position for position in positions if position < _LEAST_POSITION]
    case.require(not small, "initial positions of 2^16 and more", ", ".join(f"{one:012x}" for one in small))
    found = pattern(positions, 48)
    case.require(not found, "initial positions that nobody can guess", found)


@check("EST-03", Need.TCP)
def kind_of_the_answer(case: Case) -> Script[None]:
    """A SYN-ACK has the option of the SYN's kind, or none."""
    for variant in Variant:
        transport = yield from case.open(case.offer(variant=variant))
        answer = transport.answer
        if answer is not None and answer.flow is not None:
            same = all(flow.variant is variant for flow in answer.flows)
            case.require(same, f"{variant.value} or no option in the SYN-ACK", answer)


@check("EST-04", Need.OPTION)
def second_half(case: Case) -> Script[None]:
    """The SYN-ACK returns the first half and adds a second that is not zero."""
    _, offer, answer = yield from case.offered()
    assert answer.flow is not None
    tifid = answer.flow.tifid
    case.require(tifid.first == offer.tifid.first, f"the first half {offer.tifid.first:06x}", f"{tifid.first:06x}")
    case.require(tifid.second, "a second half that is not zero", f"the TIFID {tifid}")


@check("EST-05", Need.OPTION)
def acknowledged_position(case: Case) -> Script[None]:
    """The TIAck of the SYN-ACK is the TISeq of the SYN."""
    _, offer, answer = yield from case.offered()
    assert answer.flow is not None
    case.require(answer.flow.tiack == offer.tiseq, f"TIAck {offer.tiseq:012x}", f"{answer.flow.tiack:012x}")


@check("EST-08", Need.RESUME)
def wrong_confirmations(case: Case) -> Script[None]:
    """A third ACK with another TIFID, TISeq or TIAck makes plain TCP of the connection.

    It goes on without the flow: a resume is refused.
    """
    for what in ("TIFID", "TISeq", "TIAck"):
        flow = yield from case.agreed()
        right = flow.confirmation
        wrong = {
            "TIFID": right.replace(tifid=Tifid(right.tifid.value ^ 0x10)),
            "TISeq": right.replace(tiseq=SEQ48.add(right.tiseq, 1)),
            "TIAck": right.replace(tiack=SEQ48.add(right.tiack, 1)),
        }[what]
        flow.transport.confirm(wrong)
        yield from case.pause(case.quiet // 4)
        yield from fallen_back(case, flow, f"a third ACK with a wrong {what}")


def fallen_back(case: Case, flow: Flow, after: str) -> Script[None]:
    """The connection is plain TCP now, and nobody knows the flow."""
    plain = yield from case.goes_on_plainly(flow.transport)
    case.require(plain, f"plain TCP to go on after {after}", flow.transport.told)
    case.refused((yield from case.attempted(flow)), f"after {after}")


@check("EST-09", Need.OPTION)
def repeated_answer(case: Case) -> Script[None]:
    """A SYN-ACK that is sent again is the same, ISN and option.

    The third ACK is left out, and the SYN is sent again where the host does not act by itself.
    """
    transport, _, first = yield from case.offered()
    yield from case.until(lambda: len(transport.answers) > 1, again=transport.syn_again)
    if len(transport.answers) < 2:
        raise NotApplicable("the SYN-ACK was not sent again")
    second = transport.answers[1]
    isns = first.segment.seq, second.segment.seq
    case.require(isns[0] == isns[1], f"the ISN {isns[0]} again", f"{isns[1]}")
    case.require(second.flow == first.flow, f"{first.flow} again", second.flow or "no option")


@check("EST-11", Need.RESUME)
def payload_in_the_third_ack(case: Case) -> Script[None]:
    """A third ACK with payload confirms, and its payload arrives."""
    flow = yield from case.agreed()
    yield from _confirmed_by_data(case, flow, flow.confirmation, "a third ACK with payload")


@check("EST-12", Need.RESUME)
def lost_confirmation(case: Case) -> Script[None]:
    """Where data comes instead of the third ACK, the flow is kept, and a resume confirms it."""
    flow = yield from case.agreed()
    yield from _confirmed_by_data(case, flow, None, "data whose third ACK was lost")


def _confirmed_by_data(case: Case, flow: Flow, option: FlowOption | None, what: str) -> Script[None]:
    payload = case.octets(40)
    arrived = yield from case.carried(flow.transport, payload, option)
    case.require(arrived, f"{what} to be acknowledged", flow.transport.told)
    flow.sent += len(payload)
    yield from case.pause(case.quiet // 4)
    attempt = yield from case.attempted(flow)
    case.require(attempt.answer is not None, f"a flow that can be resumed after {what}", attempt.transport.told)


@check("EST-13", Need.RESUME)
def repeated_confirmation(case: Case) -> Script[None]:
    """Copies of the third ACK change nothing."""
    flow = yield from case.established()
    for _ in range(2):
        flow.transport.segment(option=flow.confirmation)
    yield from _still_a_flow(case, flow, "copies of the third ACK")


def _still_a_flow(case: Case, flow: Flow, after: str) -> Script[None]:
    payload = case.octets(40)
    arrived = yield from case.carried(flow.transport, payload)
    case.require(arrived, f"octets to be acknowledged after {after}", flow.transport.told)
    flow.sent += len(payload)
    attempt = yield from case.attempted(flow)
    case.require(attempt.answer is not None, f"a flow that can be resumed after {after}", attempt.transport.told)


@check("EST-15", Need.OPTION)
def no_payload_in_the_answer(case: Case) -> Script[None]:
    """A SYN-ACK with the option has no payload, not even where the SYN had some."""
    for payload in (b"", case.octets(20)):
        transport = yield from case.open(case.offer(), payload=payload)
        answer = transport.answer
        if answer is not None and answer.flow is not None:
            count = len(answer.segment.payload)
            case.require(not count, "no payload beside the option in the SYN-ACK", f"{count} octets")
