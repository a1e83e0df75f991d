"""What is to be made of what a probe has seen: a verdict, a sentence for people, the rules it is about."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from tioption.probe.observed import Answer, Confirmation, Fate, Hop, Reply, TargetSeen, VariantSeen
from tioption.probe.quotes import OPTION_NAMES
from tioption.render.values import address_text


class Verdict(Enum):
    """What a target and the path to it do with the option; the value is the word users read."""

    SPEAKS = "speaks"
    LEGACY = "legacy"
    STRIPPED_SYN = "stripped-syn"
    STRIPPED_SYN_ACK = "stripped-syn-ack"
    STRIPPED_ACK = "stripped-ack"
    ALTERED = "altered"
    ECHO = "echo"
    DROPPED = "dropped"
    REFUSED = "refused"
    DECLINED = "declined"
    CLOSED = "closed"
    UNREACHABLE = "unreachable"
    INCONCLUSIVE = "inconclusive"


class Judgement(NamedTuple):
    """What became of the option at a target, or of one variant of it."""

    verdict: Verdict
    text: str
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What else there is to know, a sentence each."""


_MEANS: Final = "connections work, as plain TCP"
_WAITING: Final = "Connections with it wait until they are tried again without."
_TIME_UP: Final = "The time for this target was up before enough was known; give it more with --timeout."


def judge_target(seen: TargetSeen) -> Judgement | None:
    """What keeps the variants from being tried: the target is not there; None where it answered the control."""
    control = seen.control
    if control is None:
        return Judgement(Verdict.INCONCLUSIVE, _TIME_UP)
    if control.answer is Answer.RESET:
        text = "The port is closed: a connection is refused with and without the option. A firewall may have done so."
        return Judgement(Verdict.CLOSED, text)
    if control.answer is Answer.ICMP:
        if not control.by:
            return Judgement(Verdict.UNREACHABLE, f"This machine cannot send there: {control.icmp}.")
        text = f"The target cannot be reached: {address_text(control.by)} reports {control.icmp}."
        return Judgement(Verdict.UNREACHABLE, text)
    if control.answer is Answer.NOTHING:
        return Judgement(Verdict.UNREACHABLE, f"Nothing answers, in {_times(control.sent)}, even without the option.")
    return None


def judge_variants(seen: TargetSeen) -> list[Judgement]:
    """What became of each variant, in the order they were tried."""
    spoken = any(one.syn is not None and one.syn.fate is Fate.INTACT for one in seen.variants)
    return [_with_notes(_judge(one, spoken=spoken), one, seen.control) for one in seen.variants]


def _judge(seen: VariantSeen, *, spoken: bool) -> Judgement:
    syn = seen.syn
    if syn is None:
        return Judgement(Verdict.INCONCLUSIVE, _TIME_UP)
    if syn.answer is not Answer.SYN_ACK:
        return _unanswered(seen, syn)
    assert syn.fate is not None
    return _ANSWERED[syn.fate](seen, spoken)


# No SYN-ACK to the SYN with the option.


def _unanswered(seen: VariantSeen, syn: Reply) -> Judgement:
    if seen.again is None:
        return Judgement(Verdict.INCONCLUSIVE, _TIME_UP)
    if seen.again.answer is not Answer.SYN_ACK:
        text = "The target answered at first and then no more, with the option or without: nothing can be said."
        return Judgement(Verdict.INCONCLUSIVE, text)
    if seen.hops and seen.hops[-1].answer is Answer.SYN_ACK:
        text = "A SYN with the option was answered at last, after others were not: the path loses packets."
        return Judgement(Verdict.INCONCLUSIVE, text, ("LEG-04",))
    where, name = _beyond(seen.hops), seen.variant.value
    if syn.answer is Answer.NOTHING and seen.resume is not None and seen.resume.answer is Answer.RESET:
        text = (
            f"A SYN with {name} is not answered, one without is. The host gets it and knows it, for it refuses an "
            f"unknown flow: SYN-ACKs with the option are dropped on their way back. {_WAITING}"
        )
        return Judgement(Verdict.DROPPED, text, ("LEG-04", "RES-05"))
    if syn.answer is Answer.NOTHING:
        text = f"A SYN with {name} is dropped{where}, one without is answered. {_WAITING}"
        return Judgement(Verdict.DROPPED, text, ("LEG-04",))
    by = f"by a RST{where}" if syn.answer is Answer.RESET else f"by {address_text(syn.by)} ({syn.icmp})"
    text = f"A connection with {name} is refused {by}, one without is answered."
    return Judgement(Verdict.REFUSED, text, ("LEG-04", "LEG-08"))


def _beyond(hops: tuple[Hop, ...]) -> str:
    """Behind which hop it happens to the SYN, as far as that is known."""
    known = [hop for hop in hops if hop.answer is Answer.ICMP and not hop.icmp]
    return f" behind {_hop(known[-1])}" if known else ""


def _hop(hop: Hop) -> str:
    return f"hop {hop.number} ({address_text(hop.address or b'')})"


# A SYN-ACK.


def _intact(seen: VariantSeen, _spoken: bool) -> Judgement:
    name = seen.variant.value
    if seen.confirmation is Confirmation.ARRIVED:
        text = f"The host speaks {name}, and the path lets the option through in the SYN, the SYN-ACK and the ACK."
        return Judgement(Verdict.SPEAKS, text, ("EST-04", "EST-05", "EST-07", "RES-01"))
    if seen.confirmation is Confirmation.MISSING:
        text = (
            f"The host speaks {name}, but refuses to resume the flow it was just confirmed: the ACK's option is taken "
            f"out or changed on the way, and {_MEANS}."
        )
        return Judgement(Verdict.STRIPPED_ACK, text, ("MBX-02", "LEG-03", "EST-08"))
    if not seen.complete:
        return Judgement(Verdict.INCONCLUSIVE, _TIME_UP)
    text = f"The host speaks {name} and its SYN-ACK carries the option; whether the ACK's arrives could not be seen."
    return Judgement(Verdict.SPEAKS, text, ("EST-04", "EST-05"))


def _absent(seen: VariantSeen, spoken: bool) -> Judgement:
    name = seen.variant.value
    gone = _where_gone(seen.hops)
    if gone is not None:
        return gone
    if not seen.complete:
        return Judgement(Verdict.INCONCLUSIVE, _TIME_UP)
    refused = seen.resume is not None and seen.resume.answer is Answer.RESET
    if refused and spoken:
        text = f"The host knows the option, and uses another kind of it at this port, but not {name}: {_MEANS}."
        return Judgement(Verdict.DECLINED, text, ("LEG-01", "RES-05"))
    if refused:
        text = (
            f"The host gets {name} in a SYN and knows it, for it refuses an unknown flow; but its SYN-ACK arrives "
            f"without. The path takes it out of SYN-ACKs, or this port does not use it: {_MEANS}."
        )
        return Judgement(Verdict.STRIPPED_SYN_ACK, text, ("MBX-02", "LEG-01", "RES-05"))
    return Judgement(
        Verdict.LEGACY, f"The host does not use {name} and answers as if it were not there: {_MEANS}.", ("LEG-01",)
    )


def _overwritten(seen: VariantSeen, _spoken: bool) -> Judgement:
    text = (
        f"The SYN-ACK arrives with padding where the host had put {seen.variant.value}: the path overwrites the option "
        f"in SYN-ACKs, and {_MEANS}."
    )
    return Judgement(Verdict.STRIPPED_SYN_ACK, text, ("MBX-02", "LEG-01"))


def _altered(seen: VariantSeen, _spoken: bool) -> Judgement:
    assert seen.syn is not None
    gone = _where_gone(seen.hops)
    if gone is not None:
        return gone
    text = (
        f"The SYN-ACK carries an option that is no answer to this SYN: the path or the host changes "
        f"{seen.variant.value}, and {_MEANS}."
    )
    return Judgement(Verdict.ALTERED, text, ("MBX-05", *seen.syn.rules))


def _echo(seen: VariantSeen, _spoken: bool) -> Judgement:
    text = (
        f"The SYN's {seen.variant.value} comes back unchanged in the SYN-ACK: the host, or a box before it, repeats "
        f"what it does not know. That is no support, and {_MEANS}."
    )
    return Judgement(Verdict.ECHO, text, ("LEG-07",))


_ANSWERED: Final[dict[Fate, Callable[[VariantSeen, bool], Judgement]]] = {
    Fate.INTACT: _intact,
    Fate.ABSENT: _absent,
    Fate.OVERWRITTEN: _overwritten,
    Fate.ALTERED: _altered,
    Fate.ECHO: _echo,
}


def _where_gone(hops: tuple[Hop, ...]) -> Judgement | None:
    """The judgement that the hops give: where a router has seen the SYN without the option, or with another."""
    for at, hop in enumerate(hops):
        if hop.fate not in (Fate.ABSENT, Fate.OVERWRITTEN, Fate.ALTERED):
            continue
        before = [one for one in hops[:at] if one.fate is Fate.INTACT]
        since = f"between {_hop(before[-1])} and {_hop(hop)}" if before else f"before {_hop(hop)}"
        if hop.fate is Fate.ALTERED:
            text = f"The SYN's option is changed {since}: {_MEANS}."
            return Judgement(Verdict.ALTERED, text, ("MBX-05",))
        how = "taken out of" if hop.fate is Fate.ABSENT else "overwritten by padding in"
        text = f"The option is {how} the SYN {since}, so that the host never sees it: {_MEANS}."
        return Judgement(Verdict.STRIPPED_SYN, text, ("MBX-02", "LEG-01"))
    return None


# What else there is to know.


def _with_notes(judgement: Judgement, seen: VariantSeen, control: Reply | None) -> Judgement:
    notes = [*_about_hops(judgement.verdict, seen.hops), *_about_answers(seen, control)]
    return judgement._replace(notes=tuple(notes))


def _about_hops(verdict: Verdict, hops: tuple[Hop, ...]) -> list[str]:
    notes = []
    if verdict is Verdict.LEGACY and not hops:
        notes.append("No router was asked whether the SYN's option gets through.")
    if verdict in (Verdict.LEGACY, Verdict.ECHO, Verdict.ALTERED) and hops:
        arrived = [hop for hop in hops if hop.fate is Fate.INTACT]
        distance = hops[-1].number if hops[-1].answer in (Answer.SYN_ACK, Answer.RESET) else None
        of = f" of {distance}" if distance is not None else ""
        if arrived and not any(hop.fate is Fate.ALTERED for hop in hops):
            notes.append(f"The SYN's option was seen to arrive at hop {arrived[-1].number}{of}.")
        elif not arrived and distance != 1:
            notes.append("No router on the way quotes enough to say whether the SYN's option arrives.")
    short = [str(hop.number) for hop in hops if hop.fate is Fate.UNSEEN]
    if short:
        who = f"Hop {short[0]} quotes" if len(short) == 1 else f"Hops {', '.join(short)} quote"
        notes.append(f"{who} too little of the SYN to show the option.")
    for hop in hops:
        if hop.changed:
            notes.append(f"Before {_hop(hop)} other fields of the SYN were changed, too: {', '.join(hop.changed)}.")
            break
    return notes


def _about_answers(seen: VariantSeen, control: Reply | None) -> list[str]:
    notes = []
    syn, resume = seen.syn, seen.resume
    if syn is not None and syn.answer is Answer.SYN_ACK and syn.sent > 1:
        notes.append(
            f"The SYN was answered after {_times(syn.sent)}: packets are lost, or held up because of the option."
        )
    if syn is not None and control is not None and syn.answer is Answer.SYN_ACK:
        missing = sorted(control.kinds - syn.kinds)
        if missing:
            names = ", ".join(OPTION_NAMES.get(kind, f"kind {kind}") for kind in missing)
            notes.append(f"Without the flow option the SYN-ACK has more options: {names}.")
    if control is not None and control.fate is not Fate.ABSENT and control.answer is Answer.SYN_ACK:
        notes.append("The SYN-ACK to a SYN without the option carries one (EST-03).")
    if resume is None:
        return notes
    if seen.confirmation is Confirmation.UNKNOWN:
        notes.append(_about_resume(resume))
    elif seen.again is None and seen.confirmation is None and resume.answer is Answer.NOTHING:
        notes.append("A SYN with the identifier of an unknown flow is not answered.")
    elif seen.confirmation is None and resume.fate not in (None, Fate.ABSENT, Fate.OVERWRITTEN):
        notes.append("A SYN with the identifier of an unknown flow is answered with an option (RES-05).")
    return notes


def _about_resume(resume: Reply) -> str:
    if resume.answer is Answer.NOTHING:
        return "The resume of the flow was not answered."
    if resume.answer is Answer.ICMP:
        return f"The resume of the flow did not arrive: {address_text(resume.by)} reports {resume.icmp}."
    if resume.fate in (Fate.ABSENT, Fate.OVERWRITTEN):
        return "The resume of the flow was answered without the option, as a connection of its own (RES-05)."
    return f"The resume of the flow was answered by a wrong option ({', '.join(resume.rules)})."


def _times(count: int) -> str:
    return "one transmission" if count == 1 else f"{count} transmissions"
