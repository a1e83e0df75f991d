"""RES: how a flow goes on, on another transport, and how it does not."""

from __future__ import annotations

from typing import Final

from tioption.conform.case import Case, Flow, Script
from tioption.conform.checks.option import unknown_resume
from tioption.conform.outcome import NotApplicable
from tioption.conform.registry import Need, check
from tioption.conform.transport import Transport
from tioption.endpoint.rtt import SECOND
from tioption.seq import SEQ48

_DORMANT: Final = 2 * SECOND
_FAR: Final = 1 << 31
"""Farther than any window (RES-04)."""


def _lives(case: Case, flow: Flow, old: Transport) -> Script[bool]:
    """Whether the old transport still carries octets."""
    payload = case.octets(20)
    arrived = yield from case.carried(old, payload)
    if arrived and old is flow.transport:
        flow.sent += len(payload)
    return arrived


def _must_live(case: Case, flow: Flow) -> Script[None]:
    """The old transport lives during a resume, without which this check says nothing."""
    if not (yield from _lives(case, flow, flow.transport)):
        raise NotApplicable("the old transport does not live until the third ACK of a resume (RES-07)")


@check("RES-01", Need.RESUMABLE)
def identifier_of_the_answer(case: Case) -> Script[None]:
    """The SYN-ACK to a resume has the TIFID of the SYN."""
    flow = yield from case.begun()
    attempt = yield from case.attempted(flow)
    if attempt.answer is None:
        raise NotApplicable("the host refuses a resume while the old transport lives (RES-10)")
    case.require(attempt.answer.tifid == flow.tifid, f"the TIFID {flow.tifid}", attempt.answer.tifid)


@check("RES-02", Need.RESUME)
def from_the_oldest_unacknowledged(case: Case) -> Script[None]:
    """A resume whose TISeq is the oldest unacknowledged position is accepted.

    The host has acknowledged more, as if its acknowledgments had been lost.
    """
    flow = yield from case.begun()
    attempt = yield from case.attempted(flow, tiseq=flow.own)
    told = attempt.transport.told
    case.require(attempt.answer is not None, "a resume from the oldest unacknowledged position to be accepted", told)


@check("RES-03", Need.FLOW)
def another_port(case: Case) -> Script[None]:
    """A flow is found by its TIFID, whatever port a resume comes from.

    Tried while the old transport lives, and after a RST.
    """
    flow = yield from case.begun()
    attempt = yield from case.attempted(flow)
    if attempt.answer is None:
        case.reset(flow.transport)
        yield from case.pause(case.quiet)
        attempt = yield from case.attempted(flow)
    told = attempt.transport.told
    case.require(attempt.answer is not None, "a resume from another port to be accepted", told)


@check("RES-04", Need.RESUME)
def ranges(case: Case) -> Script[None]:
    """A resume is refused whose TIAck the host never reached, or whose TISeq is farther away than any window."""
    flow = yield from case.begun()
    wrong = (
        ("whose TIAck is above the host's next position", 0, _FAR),
        ("whose TIAck is below what was acknowledged", 0, -_FAR),
        ("whose TISeq is far above what is expected", _FAR, 0),
        ("whose TISeq is far below what is expected", -_FAR, 0),
    )
    for what, sent, received in wrong:
        tiseq, tiack = SEQ48.add(flow.nxt, sent), SEQ48.add(flow.rcv, received)
        case.refused((yield from case.attempted(flow, tiseq=tiseq, tiack=tiack)), what)


@check("RES-05", Need.OPTION)
def unknown_flow(case: Case) -> Script[None]:
    """A resume of a flow that the host does not know is answered by RST, and nothing of it is kept."""
    transport = yield from case.open(unknown_resume(case))
    case.require(transport.reset, "a RST to a resume of an unknown flow", transport.told)
    again = transport.arrivals[-1]
    transport.syn_again()
    yield from case.until(lambda: transport.arrivals[-1] is not again, again=transport.syn_again)
    last = transport.arrivals[-1]
    case.require(last is not again, "a RST to the same SYN once more", "no answer")
    case.require(last.segment.rst, "a RST to the same SYN once more", last)


@check("RES-07", Need.RESUME)
def make_before_break(case: Case) -> Script[None]:
    """The old transport carries the flow until the third ACK of a resume, and the new one from then on."""
    flow = yield from case.begun()
    old = flow.transport
    attempt, _ = yield from case.answered(flow)
    alive = yield from case.carried(old, octets := case.octets(20))
    case.require(alive, "octets on the old transport to be acknowledged before the third ACK", old.told)
    case.switch(flow, attempt)
    arrived = yield from case.carried(attempt.transport, octets + case.octets(20))
    case.require(arrived, "octets on the new transport to be acknowledged after the third ACK", attempt.transport.told)


@check("RES-08", Need.RESUME)
def wrong_third_ack(case: Case) -> Script[None]:
    """A third ACK of a resume without the option, or with a wrong one, is reset, and the old transport goes on."""
    for what in ("without the option", "with a wrong TIAck"):
        flow = yield from case.begun()
        attempt, _ = yield from case.answered(flow)
        yield from _must_live(case, flow)
        right = attempt.confirmation
        wrong = right.replace(tiack=SEQ48.add(right.tiack, 1)) if what == "with a wrong TIAck" else None
        transport = attempt.transport
        transport.automatic = False
        yield from case.confirmed(transport, wrong)
        case.require(transport.reset, f"a RST to a third ACK {what}", transport.told)
        alive = yield from _lives(case, flow, flow.transport)
        case.require(alive, f"the old transport to go on after a third ACK {what}", flow.transport.told)


@check("RES-10", Need.RESUMABLE)
def while_the_old_one_lives(case: Case) -> Script[None]:
    """A resume is accepted while the old transport lives at the host, which has noticed nothing."""
    flow = yield from case.begun()
    attempt = yield from case.attempted(flow)
    told = attempt.transport.told
    case.require(attempt.answer is not None, "a resume to be accepted while the old transport lives", told)


@check("RES-11", Need.RESUME)
def no_farewell(case: Case) -> Script[None]:
    """After a switch there is no FIN on the old transport."""
    flow = yield from case.begun()
    old = flow.transport
    yield from case.resumed(flow)
    yield from case.delivered(flow)
    yield from case.pause(case.quiet)
    ends = [arrival for arrival in old.arrivals if arrival.segment.fin]
    case.require(not ends, "nothing, or a RST, on the old transport", ends[0] if ends else "")


@check("RES-13", Need.RESUME)
def repeated_answer(case: Case) -> Script[None]:
    """A SYN-ACK of a resume that is sent again has the same option, even where octets have come meanwhile.

    They come on the old transport. The SYN is sent again where the host does not act by itself.
    """
    flow = yield from case.begun()
    attempt, first = yield from case.answered(flow)
    transport = attempt.transport
    yield from _must_live(case, flow)
    seen = len(transport.answers)
    yield from case.until(lambda: len(transport.answers) > seen, again=transport.syn_again)
    if len(transport.answers) == seen:
        raise NotApplicable("the SYN-ACK was not sent again")
    last = transport.answers[-1]
    case.require(last.flow == first, f"{first} again", last.flow or "no option")


@check("RES-15", Need.RESUME)
def half_closed(case: Case) -> Script[None]:
    """A flow with a closed stream is resumed: the FIN is repeated and absorbed, and so is that of the host.

    Where the service closes its stream, too, a TIAck one past the end is accepted.
    """
    flow = yield from case.begun()
    flow.transport.automatic = False
    if not (yield from case.finished(flow.transport)):
        raise NotApplicable("a FIN is not acknowledged")
    yield from case.pause(case.quiet)
    ended = flow.transport.fin
    attempt, answer = yield from case.answered(flow)
    transport = attempt.transport
    transport.automatic = False
    case.switch(flow, attempt)
    if answer.tiack == flow.nxt:  # else the host counts the FIN (MAP-01), and has it
        absorbed = yield from case.finished(transport)
        case.require(absorbed, "the FIN that comes again to be acknowledged", transport.told)
    if not ended:
        return
    yield from case.until(lambda: transport.fin or transport.reset)
    case.require(transport.fin, "the host's FIN again on the new transport", transport.told)
    beyond = yield from case.attempted(flow, tiack=SEQ48.add(flow.rcv, 1))
    told = beyond.transport.told
    case.require(beyond.answer is not None, "a TIAck one past the end to be accepted after the FIN", told)


@check("RES-16", Need.RESUME)
def two_pending(case: Case) -> Script[None]:
    """No more than 2 resumes of a flow are pending, and of these the first that is confirmed wins."""
    flow = yield from case.begun()
    pending = []
    for _ in range(3):
        attempt = yield from case.attempted(flow)
        if attempt.answer is not None:
            pending.append(attempt)
    case.require(len(pending) < 3, "no more than 2 resumes of a flow to be answered", "3 of 3 answered")
    if not pending:
        raise NotApplicable("no resume of the flow is answered")
    winner, losers = pending[-1], pending[:-1]
    case.switch(flow, winner)
    yield from case.delivered(flow)
    yield from case.pause(case.quiet)
    for loser in losers:
        loser.transport.automatic = False
        if loser.transport.reset is None:
            taken = yield from case.carried(loser.transport, case.octets(10), loser.confirmation)
            case.require(not taken, "a RST for the resume that came second", "its octets acknowledged")


@check("RES-17", Need.RESUME)
def late_duplicate(case: Case) -> Script[None]:
    """A late copy of a resume SYN does not move a flow that has been resumed again since."""
    flow = yield from case.begun()
    yield from case.resumed(flow)
    late = flow.transport
    yield from case.delivered(flow)
    yield from case.resumed(flow)
    yield from case.delivered(flow)
    late.automatic = False
    late.syn_again()
    yield from case.pause(case.quiet)
    alive = yield from _lives(case, flow, flow.transport)
    case.require(alive, "the flow to go on after a late copy of an earlier resume", flow.transport.told)


@check("RES-18", Need.FLOW)
def only_the_opener_resumes(case: Case) -> Script[None]:
    """The host does not resume a flow that it has not opened.

    Its transport is reset, and a few seconds pass.
    """
    flow = yield from case.begun()
    transport = flow.transport
    case.reset(transport)
    yield from case.pause(max(_DORMANT, case.quiet))
    arrived = (*transport.arrivals, *case.strangers)
    resumes = [one for one in arrived if one.segment.syn and not one.segment.has_ack]
    case.require(not resumes, "nobody but the opener to resume the flow", resumes[0] if resumes else "")


@check("RES-21", Need.RESUMABLE)
def dormant(case: Case) -> Script[None]:
    """A flow is kept whose transport was reset: it is resumed 2 seconds later."""
    flow = yield from case.begun()
    case.reset(flow.transport)
    yield from case.pause(_DORMANT)
    attempt = yield from case.attempted(flow)
    told = attempt.transport.told
    case.require(attempt.answer is not None, "a flow without transport to be kept", told)


@check("RES-22", Need.RESUME)
def over(case: Case) -> Script[None]:
    """A flow is over when both streams are closed and acknowledged: a resume is refused."""
    flow = yield from case.begun()
    transport = flow.transport
    if not (yield from case.finished(transport)):
        raise NotApplicable("a FIN is not acknowledged")
    if not (yield from case.until(lambda: transport.fin)):
        raise NotApplicable("the service does not close its stream when ours is closed")
    yield from case.pause(case.quiet)
    case.refused((yield from case.attempted(flow)), "after both streams were closed")
