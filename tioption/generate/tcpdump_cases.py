"""The captures of the patched tcpdump's test cases: a flow of either variant, and options that only look like one."""

from __future__ import annotations

from collections.abc import Callable

from tioption.build.capture_file import pcap
from tioption.build.conversation import MS, Conversation
from tioption.build.packet import mss
from tioption.dissect.tcpdump_patch import TARGETS, Case, lookalikes, render
from tioption.layout import LENGTH
from tioption.option import Variant


def _resumed(talk: Conversation) -> None:
    """A flow is opened, breaks and resumes on a second transport."""
    first = talk.connect()
    first.send("A", 20)
    first.send("B", 10, acked=False)
    talk.wait(1000 * MS)
    second = talk.resume()
    second.send("A", 20)
    second.close()


def _others(talk: Conversation) -> None:
    """SYNs with options that are none of ours: known experiments, other lengths; last two options in one segment."""
    ours = talk.transport().syn().header.options[-LENGTH:]
    areas = [*lookalikes(), *(ours[:1] + bytes((octets,)) + ours[2:].ljust(octets - 2, b"\x01") for octets in (18, 22))]
    for area in [*(mss(1460) + area[:2] + area[2 : area[1]] for area in areas), ours * 2]:
        talk.wait(MS)
        talk.transport().syn(options=area)


def _case(name: str, story: Callable[[Conversation], None], talk: Conversation) -> Case:
    story(talk)
    frames = tuple(talk.frames())
    return Case(name, frames, pcap(frames))


def cases() -> list[Case]:
    """Every test case, the same octets each time."""
    return [
        _case("tiflow-d", _resumed, Conversation(1)),
        _case("tiflow-c", _resumed, Conversation(2, variant=Variant.FLOW_C, a="2001:db8::1", b="2001:db8::2")),
        _case("tiflow-others", _others, Conversation(3)),
    ]


def render_for(name: str) -> Callable[[], str]:
    """A renderer of the patch with its cases for a line of development (see `TARGETS`)."""
    return lambda: render(TARGETS[name], cases())
