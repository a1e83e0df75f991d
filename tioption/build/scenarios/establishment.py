"""EST: the establishment of a new flow."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation
from tioption.build.scenarios.paper import established
from tioption.build.scenarios.registry import breaks, keeps
from tioption.capture.segment import ACK, PSH, SYN
from tioption.option import FlowOption, Tifid

keeps(
    *("EST-01", "EST-02", "EST-03", "EST-04", "EST-05", "EST-06", "EST-07", "EST-11", "EST-12", "EST-13", "EST-15"),
    text="An ordinary flow from SYN to FIN.",
)(established)


@keeps("EST-09", text="SYN and SYN-ACK are retransmitted with the same contents.")
def retransmitted(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    talk.wait(1000 * MS)
    transport.syn()
    transport.syn_ack()
    talk.wait(1000 * MS)
    transport.syn_ack()
    transport.ack()
    transport.close()


@keeps("EST-10", text="A duplicate SYN-ACK is answered with the identical option.")
def answered_again(talk: Conversation) -> None:
    transport = talk.connect()
    talk.wait(1000 * MS)
    transport.syn_ack()
    transport.ack()
    transport.close()


@keeps("EST-14", text="Crossed SYNs are answered without the option: legacy TCP.")
def crossed(talk: Conversation) -> None:
    _crossed(talk, None, None)


def _crossed(talk: Conversation, first: FlowOption | None, second: FlowOption | None) -> None:
    """A simultaneous open (RFC 9293 §3.5): both SYNs, then both SYN-ACKs."""
    transport = talk.transport()
    transport.syn()
    other = FlowOption(talk.variant, Tifid.from_halves(talk.tifid.second), talk.streams["B"].s0, 0)
    transport.emit("B", SYN, seq=transport.isn["B"], option=other)
    talk.wait(talk.rtt // 2)
    transport.emit("A", SYN | ACK, seq=transport.isn["A"], option=first)
    transport.emit("B", SYN | ACK, seq=transport.isn["B"], option=second)


@breaks("EST-01", "The SYN of a new flow has a TIAck other than 0.")
def est_01(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(option=lambda option: option.replace(tiack=0x77))
    talk.expect("EST-01")
    transport.syn_ack()
    transport.ack()
    transport.close()


@breaks("EST-02", "The SYN's initial TISeq is 1d, which anybody guesses.")
def est_02(talk: Conversation) -> None:
    talk.streams["A"].s0 = 0x1D
    transport = talk.transport()
    transport.syn()
    talk.expect("EST-02")
    transport.syn_ack()
    transport.ack()
    transport.close()


@breaks("EST-03", "The SYN has no option, the SYN-ACK has one.")
def est_03(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(option=None)
    transport.syn_ack()
    talk.expect("EST-03")
    transport.ack(option=None)
    transport.close()


@breaks("EST-04", "The SYN-ACK changes the first half of the TIFID.")
def est_04(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    transport.syn_ack(option=lambda option: option.replace(tifid=Tifid(option.tifid.value ^ 1 << 30)))
    talk.expect("EST-04")
    transport.ack(option=None)
    transport.close()


@breaks("EST-05", "The SYN-ACK's TIAck counts the SYN.")
def est_05(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    transport.syn_ack(option=lambda option: option.replace(tiack=option.tiack + 1))
    talk.expect("EST-05")
    transport.ack(option=None)
    transport.close()


@breaks("EST-06", "A confirms although the SYN-ACK's TIAck was wrong.")
def est_06(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    transport.syn_ack(option=lambda option: option.replace(tiack=option.tiack + 1))
    talk.expect("EST-05")
    transport.ack()
    talk.expect("EST-06")
    transport.close()


@breaks("EST-07", "The third ACK's TISeq is not that of the SYN.")
def est_07(talk: Conversation) -> None:
    transport = talk.connect(ack=lambda option: option.replace(tiseq=option.tiseq + 1))
    talk.expect("EST-07")
    transport.close()


@breaks("EST-09", "The SYN is retransmitted with another TISeq.")
def est_09(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    talk.wait(1000 * MS)
    transport.syn(option=lambda option: option.replace(tiseq=option.tiseq ^ 0xFF))
    talk.expect("EST-09")
    transport.syn_ack()
    transport.ack()
    transport.close()


@breaks("EST-10", "A duplicate SYN-ACK is answered by an ACK without the option.")
def est_10(talk: Conversation) -> None:
    transport = talk.connect()
    talk.wait(1000 * MS)
    transport.syn_ack()
    transport.ack(option=None)
    talk.expect("EST-10")
    transport.close()


@breaks("EST-11", "The third ACK carries the option and data.")
def est_11(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    talk.streams["A"].octets += b"early"
    transport.ack(payload=b"early")
    talk.expect("EST-11")
    talk.streams["A"].received = transport.place["A"] = 5
    transport.close()


@breaks("EST-12", "The third ACK was lost: B first sees data without the option.")
def est_12(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    transport.syn_ack()
    transport.send("A", 50)
    talk.expected.append(("EST-12", 3))
    transport.close()


@breaks("EST-13", "A repeats its confirmation until B's first segment.")
def est_13(talk: Conversation) -> None:
    transport = talk.connect()
    confirmation = FlowOption(talk.variant, talk.tifid, talk.streams["A"].s0, talk.streams["B"].s0)
    transport.emit("A", ACK | PSH, payload=b"first", option=confirmation)
    talk.expect("EST-13")
    talk.streams["A"].octets += b"first"
    talk.streams["A"].received = transport.place["A"] = 5
    transport.send("B", 20)
    transport.close()


@breaks("EST-14", "Crossed SYNs are answered with the option.")
def est_14(talk: Conversation) -> None:
    option = FlowOption(talk.variant, talk.tifid, talk.streams["A"].s0, talk.streams["B"].s0)
    _crossed(talk, option, None)
    talk.expected.append(("EST-14", 3))


@breaks("EST-15", "The SYN with the option carries data.")
def est_15(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(payload=b"too early")
    talk.expect("EST-15")
    transport.syn_ack()
    transport.ack()
    transport.close()
