"""MAP: how positions go with sequence numbers, as a resume shows it."""

from __future__ import annotations

from tioption.conform.case import Case, Flow, Script
from tioption.conform.outcome import NotApplicable
from tioption.conform.registry import Need, check
from tioption.seq import SEQ48


def _position(case: Case, flow: Flow, expected: int, found: int, what: str) -> None:
    """The TIAck of the host stands so many octets after the initial position."""
    distance = SEQ48.difference(found, flow.own)
    case.require(distance == expected, f"a TIAck {expected} octets after the initial TISeq, {what}", f"{distance}")


@check("MAP-01", Need.RESUME)
def a_fin_is_no_octet(case: Case) -> Script[None]:
    """Neither SYN nor FIN is counted: after n octets and a FIN the TIAck is n octets on."""
    flow = yield from case.begun()
    flow.transport.automatic = False  # so that the host's own end is open, and the flow lives
    if not (yield from case.finished(flow.transport)):
        raise NotApplicable("a FIN is not acknowledged")
    _, answer = yield from case.answered(flow)
    _position(case, flow, flow.sent, answer.tiack, "after as many octets and a FIN")


@check("MAP-02", Need.RESUME)
def contiguous_octets(case: Case) -> Script[None]:
    """The TIAck counts octets that have come without a gap."""
    flow = yield from case.begun()
    contiguous = flow.sent
    yield from _beyond_a_gap(case, flow)
    _, answer = yield from case.answered(flow)
    _position(case, flow, contiguous, answer.tiack, "where a gap begins")


def _beyond_a_gap(case: Case, flow: Flow) -> Script[None]:
    """Lose 50 octets, and send 20 more."""
    transport = flow.transport
    transport.segment(payload=case.octets(20), at=transport.nxt + 50)
    flow.sent += 70
    yield from case.pause(case.quiet)


@check("MAP-03", Need.RESUME)
def data_instead_of_the_third_ack(case: Case) -> Script[None]:
    """Where the third ACK of a resume is lost, data stands where the host's TIAck says."""
    flow = yield from case.begun()
    attempt, _ = yield from case.answered(flow)
    case.goes_over(flow, attempt)
    payload = case.octets(30)
    arrived = yield from case.carried(attempt.transport, payload)
    case.require(arrived, "data that acknowledges the SYN-ACK to be taken", attempt.transport.told)
    flow.sent += len(payload)
    _, answer = yield from case.answered(flow)
    _position(case, flow, flow.sent, answer.tiack, "after data whose third ACK was lost")


@check("MAP-04", Need.RESUME, echo=True)
def where_the_other_points(case: Case) -> Script[None]:
    """The SYN-ACK of a resume goes on where the SYN's TIAck points, and so does the stream.

    Of 100 octets that the service has sent, 40 are acknowledged, and 60 are claimed by the resume.
    """
    flow = yield from case.begun()
    transport = flow.transport
    before, there = len(flow.received), len(transport.received)
    transport.automatic = False
    yield from case.delivered(flow)
    yield from case.until(lambda: len(flow.received) >= before + 100)
    octets = flow.received[before:]
    if len(octets) < 100:
        raise NotApplicable(f"the service has sent back {len(octets)} of 100 octets")
    transport.acknowledging = 1 + there + 40
    transport.segment()
    yield from case.pause(case.quiet)
    tiack = SEQ48.add(flow.other, before + 60)
    attempt = yield from case.attempted(flow, tiack=tiack)
    if attempt.answer is None:
        raise NotApplicable(f"the host refuses a resume that is right, by {attempt.transport.told}")
    case.same_flow(flow, attempt)
    distance = SEQ48.difference(attempt.answer.tiseq, tiack)
    case.require(distance == 0, "a TISeq that is the TIAck of the SYN", f"one {distance} octets away")
    case.switch(flow, attempt)
    yield from case.until(lambda: len(attempt.transport.received) >= 40 or attempt.transport.reset)
    rest = bytes(attempt.transport.received[:40])
    case.require(rest == octets[60:100], "the octets from there on", rest or attempt.transport.told)


@check("MAP-05", Need.RESUME)
def overlap_and_gap(case: Case) -> Script[None]:
    """A third ACK may begin below the position expected, and the overlap is trimmed; one above is reset."""
    flow = yield from case.begun()
    attempt, answer = yield from case.answered(flow)
    below = SEQ48.add(answer.tiack, -10)
    case.switch(flow, attempt, attempt.confirmation.replace(tiseq=below))
    yield from case.pause(case.quiet // 4)
    arrived = yield from case.carried(attempt.transport, case.octets(30))
    case.require(arrived, "octets of which some came before to be acknowledged", attempt.transport.told)
    flow = yield from case.begun()
    attempt, answer = yield from case.answered(flow)
    above = attempt.confirmation.replace(tiseq=SEQ48.add(answer.tiack, 10))
    yield from case.confirmed(attempt.transport, above)
    told = attempt.transport.told
    case.require(attempt.transport.reset, "a RST to a third ACK that leaves a gap", told)


@check("MAP-07", Need.RESUME)
def wraps(case: Case) -> Script[None]:
    """Positions wrap at 2^48 and sequence numbers at 2^32: a flow that stands at 0 is resumed there."""
    offer = case.offer(position=(1 << 48) - 100)
    flow = yield from case.established(offer, (1 << 32) - 50)
    yield from case.delivered(flow)
    attempt = yield from case.attempted(flow, isn=(1 << 32) - 10)
    case.require(attempt.answer is not None, "a resume at position 0 to be accepted", attempt.transport.told)
    case.same_flow(flow, attempt)
    assert attempt.answer is not None
    case.require(attempt.answer.tiack == 0, "the TIAck 000000000000", f"{attempt.answer.tiack:012x}")
    case.switch(flow, attempt)
    arrived = yield from case.carried(attempt.transport, case.octets(30))
    case.require(arrived, "octets at position 0 to be acknowledged", attempt.transport.told)


@check("MAP-08", Need.RESUME, echo=True)
def nothing_twice(case: Case) -> Script[None]:
    """Octets that come again after a switch are not delivered again.

    The service would send them back.
    """
    flow = yield from case.begun()
    yield from case.until(lambda: len(flow.received) >= flow.sent)
    attempt, answer = yield from case.answered(flow)
    case.switch(flow, attempt, attempt.confirmation.replace(tiseq=SEQ48.add(answer.tiack, -10)))
    yield from case.pause(case.quiet // 4)  # data that overtakes it would stand elsewhere (MAP-03)
    fresh = case.octets(20)
    if not (yield from case.carried(attempt.transport, case.octets(10) + fresh)):
        raise NotApplicable(f"an overlap is not accepted (MAP-05): {attempt.transport.told}")
    yield from case.until(lambda: len(attempt.transport.received) >= len(fresh))
    yield from case.pause(case.quiet)
    found = bytes(attempt.transport.received)
    case.require(found == fresh, f"the {len(fresh)} octets that are new", f"{len(found)} octets sent back")


@check("MAP-09", Need.RESUME)
def beyond_a_gap(case: Case) -> Script[None]:
    """What had come beyond a gap is forgotten with its transport.

    Octets that fill the gap on the next one are acknowledged, and nothing more.
    """
    flow = yield from case.begun()
    contiguous = flow.sent
    yield from _beyond_a_gap(case, flow)
    attempt, answer = yield from case.answered(flow)
    if SEQ48.difference(answer.tiack, flow.own) != contiguous:
        raise NotApplicable("the TIAck is not where the gap begins (MAP-02)")
    case.switch(flow, attempt)
    transport = attempt.transport
    if not (yield from case.carried(transport, case.octets(50))):
        raise NotApplicable(f"octets of a flow are not acknowledged: {transport.told}")
    yield from case.pause(case.quiet)
    case.require(transport.acked == 51, "50 octets acknowledged on the new transport", f"{transport.acked - 1}")
