"""MBX: what paths do. These show between two captures, one at each host."""

from __future__ import annotations

from collections.abc import Callable

from tioption.build.conversation import Conversation, Sent
from tioption.build.packet import NOP
from tioption.build.scenarios.paper import established
from tioption.build.scenarios.registry import breaks, keeps
from tioption.option import FlowOption

keeps(
    *("MBX-01", "MBX-02", "MBX-03", "MBX-05"),
    text="A path that changes nothing.",
)(established)

_OPTION = 20  # octets, at the end of the option area in every segment that carries it


def _on_option(change: Callable[[bytes], bytes], *sides: str) -> Callable[[Sent], Sent]:
    """A path that changes the flow option, where there is one, in what these sides send."""

    def path(sent: Sent) -> Sent:
        before, option = sent.header.options[:-_OPTION], sent.header.options[-_OPTION:]
        if sent.side not in sides or option[:2] not in {b"\xfd\x14", b"\xfe\x14"}:
            return sent
        return sent._replace(header=sent.header._replace(options=before + change(option)))

    return path


@breaks("MBX-01", "A firewall rewrites A's initial sequence number.")
def mbx_01(talk: Conversation) -> None:
    shift = talk.random.randrange(1, 1 << 32)

    def path(sent: Sent) -> Sent:
        header = sent.header
        if sent.side == "A":
            return sent._replace(header=header._replace(seq=(header.seq + shift) & 0xFFFFFFFF))
        return sent._replace(header=header._replace(ack=(header.ack - shift) & 0xFFFFFFFF))

    talk.path = path
    established(talk)


@breaks("MBX-02", "A middlebox overwrites the SYN-ACK's option by NOPs.")
def mbx_02(talk: Conversation) -> None:
    talk.path = _on_option(lambda option: NOP * len(option), "B")
    transport = talk.connect(ack=None)
    talk.expect("LEG-03")
    transport.send("A", 100)
    transport.close()


@breaks("MBX-03", "The path splits the confirming segment and copies its option.")
def mbx_03(talk: Conversation) -> None:
    def path(sent: Sent) -> Sent | tuple[Sent, Sent]:
        if sent.side != "A" or not sent.payload:
            return sent
        half = len(sent.payload) // 2
        rest = sent.header._replace(seq=(sent.header.seq + half) & 0xFFFFFFFF)
        return sent._replace(payload=sent.payload[:half]), sent._replace(header=rest, payload=sent.payload[half:])

    talk.path = path
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    octets = b"twelve bytes"
    talk.streams["A"].octets += octets
    transport.ack(payload=octets)
    first = len(talk.observed) - 1
    talk.expected.append(("EST-11", first))
    talk.expect("EST-13", "MBX-03")  # a repetition on purpose looks the same
    talk.streams["A"].received = transport.place["A"] = len(octets)
    transport.close()


@breaks("MBX-05", "A middlebox alters the SYN's TISeq.")
def mbx_05(talk: Conversation) -> None:
    talk.path = _on_option(lambda option: option[:13] + bytes((option[13] ^ 0x55,)) + option[14:], "A")
    transport = talk.transport()
    transport.syn()
    altered = talk.observed[-1].at_b
    assert altered is not None
    tiseq = FlowOption.parse(altered.header.options[-_OPTION:], talk.kinds).tiseq
    transport.syn_ack(option=lambda option: option.replace(tiack=tiseq))
    talk.expect("EST-05")
    transport.ack(option=None)
    transport.close()
