"""What a probe has found, as lines for people and rows for programs. Keys are the command line's contract."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final, Literal, NamedTuple

from tioption.endpoint.rtt import SECOND
from tioption.probe.observed import Answer, Confirmation, Fate, Hop, Reply, TargetSeen, VariantSeen
from tioption.probe.verdict import Judgement, Verdict, judge_target, judge_variants
from tioption.render.values import address_text, peer_text

_HEAD: Final = len("unknown flow")

Mood = Literal["good", "plain", "bad", "unknown", "detail"]
"""How a line is to be taken."""

_MOODS: Final[dict[Verdict, Mood]] = {
    Verdict.SPEAKS: "good",
    Verdict.LEGACY: "plain",
    Verdict.ECHO: "plain",
    Verdict.DECLINED: "plain",
    Verdict.CLOSED: "unknown",
    Verdict.UNREACHABLE: "unknown",
    Verdict.INCONCLUSIVE: "unknown",
}


class Line(NamedTuple):
    """A line of the report: how far it is indented, what it says first, what follows, and how to take it."""

    indent: int
    head: str
    text: str
    mood: Mood


# Rows.


def rows(host: str, seen: TargetSeen) -> Iterator[dict[str, Any]]:
    """A row per variant, or one for a target that did not answer the control; `host` is what the user asked for."""
    judgement = judge_target(seen)
    if judgement is not None:
        yield _row(host, seen, None, judgement)
        return
    for one, judged in zip(seen.variants, judge_variants(seen), strict=True):
        yield _row(host, seen, one, judged)


def _row(host: str, seen: TargetSeen, one: VariantSeen | None, judged: Judgement) -> dict[str, Any]:
    return {
        "host": host,
        "address": seen.address,
        "port": seen.port,
        "source": seen.source or None,
        "variant": one.variant.value if one is not None else None,
        "verdict": judged.verdict.value,
        "text": judged.text,
        "rules": [*judged.rules],
        "notes": [*judged.notes],
        "control": _reply(seen.control),
        "syn": _reply(one.syn) if one is not None else None,
        "ack": one.confirmation.value if one is not None and one.confirmation is not None else None,
        "resume": _reply(one.resume) if one is not None else None,
        "again": _reply(one.again) if one is not None else None,
        "hops": [_hop(hop) for hop in one.hops] if one is not None else [],
        "packets": seen.packets,
        "seconds": seen.duration / SECOND,
    }


def _reply(reply: Reply | None) -> dict[str, Any] | None:
    if reply is None:
        return None
    option = reply.option
    return {
        "answer": reply.answer.value,
        "sent": reply.sent,
        "rtt": _seconds(reply.rtt),
        "option": reply.fate.value if reply.fate is not None else None,
        "tifid": str(option.tifid) if option is not None else None,
        "tiseq": f"{option.tiseq:012x}" if option is not None else None,
        "tiack": f"{option.tiack:012x}" if option is not None else None,
        "icmp": reply.icmp or None,
        "by": address_text(reply.by) if reply.by else None,
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "hop": hop.number,
        "address": address_text(hop.address) if hop.address is not None else None,
        "answer": hop.answer.value,
        "option": hop.fate.value if hop.fate is not None else None,
        "changed": [*hop.changed],
        "rtt": _seconds(hop.rtt),
        "icmp": hop.icmp or None,
    }


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / SECOND


# Lines.


def lines(host: str, seen: TargetSeen) -> Iterator[Line]:
    """A line per verdict, each with what was seen below it."""
    where = peer_text(ip_address(seen.address).packed, seen.port)
    if host != seen.address:
        where += f" ({host})"
    judgement = judge_target(seen)
    if judgement is not None:
        yield Line(0, f"{where}  {judgement.verdict.value}", judgement.text, _MOODS.get(judgement.verdict, "bad"))
    else:
        for one, judged in zip(seen.variants, judge_variants(seen), strict=True):
            head = f"{where}  {one.variant.value}  {judged.verdict.value}"
            yield Line(0, head, judged.text, _MOODS.get(judged.verdict, "bad"))
            for note in judged.notes:
                yield Line(4, "", note, "detail")
            yield from (Line(4, head.ljust(_HEAD), text, "detail") for head, text in _details(seen, one))
    packets = f"{seen.packets} packet{'s' if seen.packets != 1 else ''}"
    yield Line(4, "", f"{packets} sent to {where} in {seen.duration / SECOND:.2f} s", "detail")


def text(host: str, seen: TargetSeen) -> Iterator[str]:
    """The report as plain lines."""
    for line in lines(host, seen):
        between = ": " if line.indent == 0 else "  "
        yield " " * line.indent + (f"{line.head}{between}" if line.head else "") + line.text + "\n"


_OPTION_WORDS: Final = {
    Fate.INTACT: "with the option, as it should be",
    Fate.ABSENT: "without the option",
    Fate.OVERWRITTEN: "with padding in place of the option",
    Fate.ALTERED: "with a wrong option",
    Fate.ECHO: "with the SYN's option",
    Fate.UNSEEN: "",
}
_HOP_WORDS: Final = {
    Fate.INTACT: "the option is there",
    Fate.ABSENT: "the option is gone",
    Fate.OVERWRITTEN: "padding in place of the option",
    Fate.ALTERED: "the option is another one",
    Fate.ECHO: "",
    Fate.UNSEEN: "too little is quoted",
}
_ACK_WORDS: Final = {
    Confirmation.ARRIVED: "its option arrived: the flow can be resumed",
    Confirmation.MISSING: "its option did not arrive: the flow cannot be resumed",
    Confirmation.UNKNOWN: "unknown",
}


def _details(seen: TargetSeen, one: VariantSeen) -> Iterator[tuple[str, str]]:
    """What was sent and what came back, in the order it was tried."""
    if seen.control is not None:
        yield "control", _came(seen.control, option=False)
    if one.syn is not None:
        yield "SYN", _came(one.syn)
    if one.confirmation is not None:
        yield "ACK", _ACK_WORDS[one.confirmation]
    if one.again is not None:
        yield "control", _came(one.again, option=False)
    if one.resume is not None:
        known = one.confirmation is not None
        yield "resume" if known else "unknown flow", _came(one.resume)
    width = max((len(_name(hop)) for hop in one.hops), default=0)
    for hop in one.hops:
        yield f"hop {hop.number}", f"{_name(hop).ljust(width)}  {_said(hop)}".rstrip()


def _name(hop: Hop) -> str:
    return address_text(hop.address) if hop.address is not None else "*"


def _said(hop: Hop) -> str:
    if hop.answer is Answer.NOTHING:
        return "no answer"
    time = _ms(hop.rtt)
    if hop.answer is not Answer.ICMP:
        return f"{hop.answer.value.upper()}{time}"
    words = [_HOP_WORDS[hop.fate]] if hop.fate is not None else []
    if hop.changed:
        words.append(f"changed: {', '.join(hop.changed)}")
    if hop.icmp:
        words.insert(0, hop.icmp)
    return "; ".join(words) + time


def _came(reply: Reply, *, option: bool = True) -> str:
    if reply.answer is Answer.NOTHING:
        return f"no answer to {reply.sent} transmission{'s' if reply.sent != 1 else ''}"
    if reply.answer is Answer.ICMP:
        return f"{address_text(reply.by)}: {reply.icmp}{_ms(reply.rtt)}"
    words: str = reply.answer.value.upper()
    if option and reply.fate is not None:
        words += f" {_OPTION_WORDS[reply.fate]}"
        if reply.fate is Fate.ALTERED and reply.rules:
            words += f" ({', '.join(reply.rules)})"
    if reply.sent > 1:
        words += f", to transmission {reply.sent}"
    return words + _ms(reply.rtt)


def _ms(nanoseconds: int | None) -> str:
    return "" if nanoseconds is None else f", {nanoseconds / 1e6:.1f} ms"
