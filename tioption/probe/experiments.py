"""What is tried at a target, in which order, as steps of a session.

A SYN without the option first, the control. Then of each variant: the SYN of a new flow. Where its answer is as it
should be, it is confirmed, and a resume from another port shows whether the confirmation has arrived. Where the SYN-ACK
lacks the option, the resume of a flow that nobody has shows whether the host knows the option at all (RES-05). Where
something is amiss on the way there, the same SYN with few hops to live shows where.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from tioption.endpoint.rtt import MS
from tioption.handshake.values import first_half, initial_position
from tioption.option import FlowOption, Tifid, Variant
from tioption.probe.attempt import Attempt
from tioption.probe.observed import Answer, Confirmation, Fate, Hop, Reply, TargetSeen, VariantSeen
from tioption.probe.quotes import Quote, compare
from tioption.probe.session import OutOfTimeError, Session, Steps
from tioption.render.values import address_text

_LEAST_HOP_WAIT: Final = 300 * MS
_MOST_HOP_WAIT: Final = 1000 * MS


def probe_target(session: Session) -> Steps[TargetSeen]:
    """Everything there is to try at a target, as far as its time lasts."""
    seen = TargetSeen(address_text(session.address), session.port, address_text(session.source))
    with suppress(OutOfTimeError):
        control = session.attempt()
        yield from _ask(session, control)
        session.end(control)
        seen = replace(seen, control=control.reply())
    if seen.control is not None and seen.control.answer is Answer.SYN_ACK:
        for variant in session.settings.variants:
            experiments = _Experiments(session, seen.control, variant)
            with suppress(OutOfTimeError):
                yield from experiments.steps()
            seen = replace(seen, variants=(*seen.variants, experiments.seen))
    session.end_all()
    return replace(seen, packets=session.packets, duration=session.duration)


def _ask(session: Session, attempt: Attempt) -> Steps[None]:
    """Send the SYN until something answers; what ICMP says counts where no answer follows it."""
    for wait in session.settings.waits:
        session.send(attempt.syn(session.now))
        yield from session.wait(wait, lambda: attempt.answer is not None)
        if attempt.answer is not None or attempt.quotes:
            return


class _Experiments:
    """Those with one variant; `seen` is what is known so far."""

    def __init__(self, session: Session, control: Reply, variant: Variant) -> None:
        self._session = session
        self._control = control
        self.seen = VariantSeen(variant)

    def steps(self) -> Steps[None]:
        """All of them."""
        opening = self._session.attempt(self._offer())
        yield from _ask(self._session, opening)
        syn = opening.reply(self._control)
        self.seen = replace(self.seen, syn=syn)
        if syn.fate is Fate.INTACT:
            yield from self._confirm(opening, syn)
        self._session.end(opening)
        if syn.fate in (Fate.ABSENT, Fate.OVERWRITTEN):
            yield from self._resume_unknown()
        elif syn.answer is not Answer.SYN_ACK:
            yield from self._control_again()
            if syn.answer is Answer.NOTHING and self._answers_still():
                yield from self._resume_unknown()
        if self._session.settings.hops and self._trace_can_tell(syn):
            yield from _Trace(self._session, self._offer(), self._control).steps(self._note_hops)
        self.seen = replace(self.seen, complete=True)

    def _offer(self) -> FlowOption:
        """The option of a new flow (EST-01, EST-02, OPT-12)."""
        bits = self._session.bits
        return FlowOption(self.seen.variant, Tifid.from_halves(first_half(bits)), initial_position(bits), 0)

    def _ask_resume(self, option: FlowOption, expected: FlowOption | None = None) -> Steps[Reply]:
        """Send the SYN of a resume from a port of its own, and end what comes of it."""
        attempt = self._session.attempt(option)
        attempt.expected = expected
        yield from _ask(self._session, attempt)
        self._session.end(attempt)
        return attempt.reply(self._control)

    def _confirm(self, opening: Attempt, syn: Reply) -> Steps[None]:
        """The third ACK with the option (EST-07), then a resume (RES-02) that only who has got it can answer."""
        session, offer, answer = self._session, opening.option, syn.option
        assert offer is not None
        assert answer is not None
        ack = offer.replace(tifid=answer.tifid, tiack=answer.tiseq)
        expected = answer.replace(tiack=offer.tiseq)
        settle = max(session.settings.settle, syn.rtt or 0)
        for _ in session.settings.waits:
            session.send(opening.ack(ack, session.now))
            yield from session.wait(settle, lambda: opening.over)
            reply = yield from self._ask_resume(ack, expected)
            self.seen = replace(self.seen, resume=reply, confirmation=_confirmation(reply))
            if reply.answer is not Answer.RESET or opening.over:
                return
            # The ACK may have been lost; another with the same option does no harm (EST-10, EST-13).

    def _resume_unknown(self) -> Steps[None]:
        """A resume of a flow that nobody has: a host that knows the option refuses it (RES-05)."""
        offer, bits = self._offer(), self._session.bits
        tifid = Tifid.from_halves(offer.tifid.first, bits(24) or 1)
        reply = yield from self._ask_resume(offer.replace(tifid=tifid, tiack=initial_position(bits)))
        self.seen = replace(self.seen, resume=reply)

    def _control_again(self) -> Steps[None]:
        """A SYN without the option, after one with it was not answered as the control was."""
        again = self._session.attempt()
        yield from _ask(self._session, again)
        self._session.end(again)
        self.seen = replace(self.seen, again=again.reply())

    def _trace_can_tell(self, syn: Reply) -> bool:
        """Whether it is open what became of the SYN on its way."""
        if syn.fate is Fate.ABSENT:  # a host that refuses the resume has got its option
            return self.seen.resume is None or self.seen.resume.answer is not Answer.RESET
        if syn.answer is Answer.SYN_ACK:
            return syn.fate in (Fate.ECHO, Fate.ALTERED)
        refused = self.seen.resume is not None and self.seen.resume.answer is Answer.RESET
        return self._answers_still() and not refused

    def _answers_still(self) -> bool:
        return self.seen.again is not None and self.seen.again.answer is Answer.SYN_ACK

    def _note_hops(self, hops: tuple[Hop, ...]) -> None:
        self.seen = replace(self.seen, hops=hops)


def _confirmation(reply: Reply) -> Confirmation:
    if reply.answer is Answer.RESET:
        return Confirmation.MISSING
    return Confirmation.ARRIVED if reply.fate is Fate.INTACT else Confirmation.UNKNOWN


class _Trace:
    """A SYN with the option, sent again and again with one more hop to live, until it says something or is answered."""

    def __init__(self, session: Session, option: FlowOption, control: Reply) -> None:
        self._session = session
        self._option = option
        self._attempt = session.attempt(option)
        self._base = session.bits(16)
        self._wait = min(max(_LEAST_HOP_WAIT, 3 * (control.rtt or 0)), _MOST_HOP_WAIT)
        self._sent: dict[int, int] = {}
        """When the SYN with so many hops was sent."""

    def steps(self, note: Callable[[tuple[Hop, ...]], None]) -> Steps[None]:
        """Ask hop by hop; `note` is told what is known whenever there is more."""
        session, attempt = self._session, self._attempt
        for number in range(1, session.settings.hops + 1):
            self._sent[number] = session.now
            # A router that quotes little quotes the identification, one that quotes much the timestamp: late ones are
            # known by that.
            identification = (self._base + number) & 0xFFFF
            session.send(attempt.syn(session.now, ttl=number, identification=identification, later=number))
            yield from session.wait(self._wait, lambda: attempt.answer is not None or number in self._quoted())  # noqa: B023
            hops = self._hops()
            note(hops)
            if attempt.answer is not None or any(_says_enough(hop) for hop in hops):
                break
            silent = session.settings.silent
            if len(hops) >= silent and all(hop.answer is Answer.NOTHING for hop in hops[-silent:]):
                break
        session.end(attempt)

    def _quoted(self) -> dict[int, tuple[int, Quote]]:
        """Times and quotes by the number of hops."""
        quoted: dict[int, tuple[int, Quote]] = {}
        for time, quote in self._attempt.quotes:
            quoted.setdefault(self._number(quote, time), (time, quote))
        return quoted

    def _number(self, quote: Quote, time: int) -> int:
        """Which of the SYNs it quotes; where the quote does not tell, the last that was sent before it came."""
        if quote.identification is not None:
            number = (quote.identification - self._base) & 0xFFFF
            if number in self._sent:
                return number
        later = self._attempt.later(quote)
        if later is not None and later in self._sent:
            return later
        return max((number for number, sent in self._sent.items() if sent < time), default=1)

    def _hops(self) -> tuple[Hop, ...]:
        quoted, answer, last = self._quoted(), self._attempt.answer, max(self._sent)
        header, kinds = self._attempt.header(), self._session.settings.kinds
        hops = []
        for number, sent in self._sent.items():
            if number == last and answer is not None:
                rtt = self._attempt.reply().rtt
                hops.append(Hop(number, self._session.address, answer, None, (), rtt))
            elif number in quoted:
                time, quote = quoted[number]
                fate, changed = compare(header, quote.header, self._option, kinds)
                hops.append(Hop(number, quote.router, Answer.ICMP, fate, changed, time - sent, quote.what))
            else:
                hops.append(Hop(number, None, Answer.NOTHING, None, (), None))
        return tuple(hops)


def _says_enough(hop: Hop) -> bool:
    """Whether nothing further on can tell more: the option is gone or another one, or the SYN was refused."""
    return bool(hop.icmp) or hop.fate in (Fate.ABSENT, Fate.OVERWRITTEN, Fate.ALTERED)
