"""LEG: falling back to plain TCP."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation
from tioption.build.scenarios.paper import established, legacy_initiator, legacy_responder, resume, resuming
from tioption.build.scenarios.registry import breaks, keeps
from tioption.capture.segment import ACK, RST

keeps("LEG-01", text="The responder is legacy TCP; A falls back.")(legacy_responder)
keeps("LEG-03", "LEG-07", text="An ordinary flow from SYN to FIN.")(established)
keeps("LEG-02", text="The initiator is legacy TCP; B does not answer with the option.")(legacy_initiator)
keeps("LEG-06", text="A resume, as the rules ask for it.")(resume)


@keeps("LEG-04", text="The SYN is retransmitted with the option, and answered.")
def retried(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    talk.wait(1000 * MS)
    transport.syn()
    transport.syn_ack()
    transport.ack()
    transport.close()


@keeps("LEG-08", text="A malformed option in the SYN is ignored; plain TCP goes on.")
def ignored(talk: Conversation) -> None:
    transport = talk.connect(syn=lambda option: bytes((253, 12)) + bytes(option)[2:12], syn_ack=None, ack=None)
    talk.expected.append(("OPT-01", 1))
    transport.close()


@breaks("LEG-01", "The SYN-ACK has no option, the third ACK has one.")
def leg_01(talk: Conversation) -> None:
    transport = talk.connect(syn_ack=None)
    talk.expect("LEG-01")
    transport.close()


@breaks("LEG-02", "B answers with the option although A is legacy TCP.")
def leg_02(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(option=None)
    transport.syn_ack()
    talk.expect("EST-03")
    transport.ack(option=None)
    transport.close()


@breaks("LEG-03", "A does not confirm: its third ACK has no option.")
def leg_03(talk: Conversation) -> None:
    transport = talk.connect(ack=None)
    talk.expect("LEG-03")
    transport.close()


@breaks("LEG-04", "The SYN is retransmitted twice, the second time without the option.")
def leg_04(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn()
    talk.wait(1000 * MS)
    transport.syn()
    talk.wait(2000 * MS)
    transport.syn(option=None)
    talk.expect("LEG-04")
    transport.syn_ack(option=None)
    transport.ack(option=None)
    transport.close()


@breaks("LEG-06", "A resume SYN is retransmitted without the option.")
def leg_06(talk: Conversation) -> None:
    transport = resuming(talk)
    transport.syn()
    talk.wait(1000 * MS)
    transport.syn(option=None)
    talk.expect("LEG-06")


@breaks("LEG-07", "The SYN-ACK's option is the SYN's own, sent back by a middlebox.")
def leg_07(talk: Conversation) -> None:
    transport = talk.transport()
    offered = transport.syn().header.options[-20:]
    transport.syn_ack(option=offered)
    talk.expect("LEG-07")
    transport.ack(option=None)
    transport.close()


@breaks("LEG-08", "A SYN with a malformed option is answered by a RST.")
def leg_08(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(option=lambda option: bytes((253, 12)) + bytes(option)[2:12])
    talk.expect("OPT-01")
    talk.wait(talk.rtt)
    transport.emit("B", RST | ACK, seq=0, ack=(transport.isn["A"] + 1) & 0xFFFFFFFF)
    talk.expect("LEG-08")
