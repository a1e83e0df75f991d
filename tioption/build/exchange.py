"""A conversation in a few lines: who sends what to whom, the option in words, and the rules broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from tioption.build.conversation import Conversation, Sent
from tioption.capture.segment import FIN, RST, SYN
from tioption.option import TcpOption, walk
from tioption.render.values import flags_text

_MOST = 14
"""Lines of an exchange; what comes after them only repeats the point."""


def exchange_lines(talk: Conversation) -> Iterator[str]:
    """The segments that tell the story: handshakes, options, resets, ends, and what breaks a rule.

    Each line has the frame's number in the capture, the direction, tcpdump's flags, the flow option or what stands in
    its place, octets of payload, and `<-` with the rules the segment breaks.
    """
    broken: dict[int, list[str]] = {}
    for rule, frame in talk.expected:
        broken.setdefault(frame, []).append(rule)
    shown = 0
    after_syn = False
    for frame, observed in enumerate(talk.observed, 1):
        sent = observed.sent
        option = _option_text(list(walk(sent.header.options, None, talk.kinds)), talk)
        told = option or frame in broken or after_syn or sent.header.flags & (SYN | RST | FIN)
        after_syn = bool(sent.header.flags & SYN)
        if not told:
            continue
        if shown == _MOST:
            yield f"    … {len(talk.observed) - frame + 1} more segments"
            return
        shown += 1
        line = f"{frame:3}  {_direction(sent)}  {flags_text(sent.header.flags):3} {option}"
        yield (line + _payload(sent) + _marks(broken.get(frame, []))).rstrip()


def _direction(sent: Sent) -> str:
    other = "B" if sent.side == "A" else "A"
    return f"{sent.side}:{sent.source.port} > {other}:{sent.destination.port}"


def _payload(sent: Sent) -> str:
    return f"  {len(sent.payload)} octets" if sent.payload else ""


def _marks(rules: list[str]) -> str:
    return f"  <- {', '.join(rules)}" if rules else ""


def _option_text(options: list[TcpOption], talk: Conversation) -> str:
    """The flow options in words; an option of a kind of ours that is none by its length."""
    texts = []
    for option in options:
        if option.flow is not None:
            texts.append(str(option.flow))
        elif option.kind is not None and talk.kinds.variant(option.kind) is not None:
            texts.append(f"option {option.kind}, {len(option.octets)} octets")
    return ", ".join(texts)
