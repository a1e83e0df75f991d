"""MAP: positions in the streams and their place on a transport."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation
from tioption.build.scenarios.paper import OUTAGE, resume, resuming
from tioption.build.scenarios.registry import breaks, keeps
from tioption.seq import SEQ48

keeps("MAP-01", "MAP-02", "MAP-04", "MAP-05", text="A flow resumes exactly where it stopped.")(resume)


@keeps("MAP-07", text="Positions wrap at 2^48 between two transports; the resume stands at 5.")
def wrapped(talk: Conversation) -> None:
    talk.streams["A"].s0 = (1 << 48) - 595
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 10)
    talk.wait(OUTAGE)
    second = talk.resume()
    second.send("A", 10)
    second.close()


@breaks("MAP-01", "B has closed; A's resume counts B's FIN as a byte.")
def map_01(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    first.fin("B")
    first.send("A", 100, lost=True)
    talk.wait(OUTAGE)
    second = talk.transport(resuming=True)
    second.syn(option=lambda option: option.replace(tiack=option.tiack + 1))
    talk.expect("MAP-01")
    second.syn_ack()
    second.ack()
    second.resend("A")


@breaks("MAP-02", "A's resume acknowledges less than A had acknowledged before.")
def map_02(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    talk.wait(OUTAGE)
    second = talk.transport(resuming=True)
    second.syn(option=lambda option: option.replace(tiack=option.tiack - 100))
    talk.expect("MAP-02")
    talk.wait(talk.rtt)
    second.reset("B")


@breaks("MAP-04", "B's SYN-ACK gives a TISeq that is neither A's TIAck nor its own oldest unacknowledged byte.")
def map_04(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack(option=lambda option: option.replace(tiseq=SEQ48.add(option.tiseq, -7)))
    talk.expect("MAP-04")
    talk.wait(MS)
    second.reset("A")


@breaks("MAP-05", "B's SYN-ACK begins above what A has: bytes would be missing.")
def map_05(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack(option=lambda option: option.replace(tiseq=SEQ48.add(option.tiseq, 100)))
    talk.expect("MAP-04", "MAP-05")
    talk.wait(MS)
    second.reset("A")


@breaks("MAP-07", "A's resume stands more than 2^47 before where A stopped.")
def map_07(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn(option=lambda option: option.replace(tiseq=SEQ48.add(option.tiseq, (1 << 47) + 5)))
    talk.expect("MAP-07", "RES-02", "SEC-05")
    talk.wait(talk.rtt)
    second.reset("B")
