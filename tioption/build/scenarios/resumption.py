"""RES: resuming a flow on another transport."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation
from tioption.build.scenarios.paper import OUTAGE, broken, resume, resuming
from tioption.build.scenarios.registry import breaks, keeps
from tioption.capture.segment import ACK, RST
from tioption.option import Tifid
from tioption.seq import SEQ48

keeps(
    *("RES-01", "RES-02", "RES-03", "RES-04", "RES-05", "RES-07", "RES-08", "RES-09", "RES-10", "RES-11", "RES-12"),
    *("RES-14", "RES-16", "RES-18", "RES-21", "RES-23"),
    text="A flow resumes exactly where it stopped.",
)(resume)


@keeps("RES-06", text="B answers a resume as legacy TCP; A resets and reports failure.")
def refused(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack(option=None)
    talk.expect("RES-05")
    second.reset("A")


@keeps("RES-13", text="B retransmits its SYN-ACK to a resume with the same TIAck.")
def answered_twice(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack()
    talk.wait(1000 * MS)
    second.syn_ack()
    second.ack()
    second.resend("A")
    second.resend("B")
    second.close()


@keeps("RES-15", text="B had closed before the break; after it, B resends what was missing and closes again.")
def closed_again(talk: Conversation) -> None:
    first = talk.connect()
    first.send("B", 300)
    first.send("B", 200, lost=True)
    first.fin("B", acked=False)
    first.send("A", 100, lost=True)
    talk.wait(OUTAGE)
    second = talk.resume()
    second.resend("A")
    second.resend("B")
    second.close()


@keeps("RES-22", text="A flow ends; later another begins with an identifier of its own.")
def another(talk: Conversation) -> None:
    talk.connect().close()
    talk.wait(10_000 * MS)
    Conversation(tape=talk.tape).connect().close()


@breaks("RES-01", "The SYN-ACK to a resume changes the TIFID.")
def res_01(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack(option=lambda option: option.replace(tifid=Tifid(option.tifid.value ^ 0xFF)))
    talk.expect("RES-01")
    second.reset("A")


@breaks("RES-02", "A's resume stands beyond everything A has sent.")
def res_02(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn(option=lambda option: option.replace(tiseq=SEQ48.add(option.tiseq, 5000)))
    talk.expect("RES-02")
    second.syn_ack()
    second.ack()
    second.resend("A")
    second.resend("B")


@breaks("RES-03", "The flow resumes from another address.")
def res_03(talk: Conversation) -> None:
    broken(talk)
    second = talk.resume(client=talk.a._replace(address="203.0.113.77", port=50123))
    talk.expected.append(("RES-03", len(talk.observed) - 2))
    second.resend("A")
    second.resend("B")


@breaks("RES-04", "A's resume acknowledges bytes that B never sent, and B accepts it.")
def res_04(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn(option=lambda option: option.replace(tiack=SEQ48.add(option.tiack, 100_000)))
    talk.expect("MAP-02")
    second.syn_ack()
    talk.expect("RES-04")
    second.reset("A")


@breaks("RES-05", "B does not know the flow and answers the resume as legacy TCP instead of resetting it.")
def res_05(talk: Conversation) -> None:
    refused(talk)


@breaks("RES-06", "A goes on in plain TCP after a resume was answered without the option.")
def res_06(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack(option=None)
    talk.expect("RES-05")
    second.ack(option=None)
    talk.expect("RES-06")
    second.resend("A")


@breaks("RES-07", "B resets the old transport on the resume SYN, before anything has confirmed it.")
def res_07(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    talk.wait(1000 * MS)
    second = talk.transport(resuming=True)
    second.syn()
    second.syn_ack()
    first.emit("B", RST | ACK)
    talk.expect("RES-07")
    second.ack()


@breaks("RES-08", "A confirms a resume without the option, and B goes on with the connection.")
def res_08(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack()
    second.ack(option=None)
    talk.wait(talk.rtt)
    second.resend("B")
    talk.expected.append(("RES-08", len(talk.observed) - 1))


@breaks("RES-09", "A sends new data on the old transport while it resumes on another.")
def res_09(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    talk.wait(1000 * MS)
    second = talk.transport(resuming=True)
    second.syn()
    first.send("A", 100, acked=False, lost=True)
    talk.expect("RES-09")
    second.syn_ack()
    second.ack()
    second.resend("A")


@breaks("RES-10", "A resumes while the old transport still lives.")
def res_10(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    talk.wait(50 * MS)
    second = talk.resume()
    talk.expected.append(("RES-10", len(talk.observed) - 2))
    second.send("A", 10)


@breaks("RES-11", "A closes the old transport with a FIN after the switch.")
def res_11(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    talk.wait(1000 * MS)
    second = talk.resume()
    second.send("A", 10)
    first.place["A"] = 600
    first.fin("A", acked=False)
    talk.expect("RES-11")


@breaks("RES-12", "A resumes from the old port while the old connection lives.")
def res_12(talk: Conversation) -> None:
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    talk.wait(100 * MS)
    talk.resume(client=first.client)
    talk.expected.append(("RES-12", len(talk.observed) - 2))


@breaks("RES-13", "B's retransmitted SYN-ACK acknowledges more than its first.")
def res_13(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn()
    second.syn_ack()
    talk.wait(1000 * MS)
    second.syn_ack(option=lambda option: option.replace(tiack=option.tiack + 100))
    talk.expect("RES-13")
    second.reset("A")


@breaks("RES-14", "B has fewer of A's bytes than A still keeps, and A goes on all the same.")
def res_14(talk: Conversation) -> None:
    """An acknowledging proxy told A that its bytes had arrived."""
    first = talk.connect()
    first.send("A", 600)
    talk.wait(OUTAGE)
    second = talk.transport(resuming=True)
    second.syn()
    second.syn_ack(option=lambda option: option.replace(tiack=option.tiack - 200))
    second.ack(option=lambda option: option.replace(tiseq=option.tiseq - 200))
    second.send("A", 50)
    talk.expected.append(("RES-14", len(talk.observed) - 1))


@breaks("RES-15", "B had closed; after the resume it sends bytes beyond its former end.")
def res_15(talk: Conversation) -> None:
    first = talk.connect()
    first.send("B", 300)
    first.fin("B")
    first.send("A", 100, lost=True)
    talk.wait(OUTAGE)
    second = talk.resume()
    second.resend("A")
    second.send("B", 20, acked=False)
    talk.expect("RES-15")


@breaks("RES-16", "A resumes twice at once, and both are confirmed.")
def res_16(talk: Conversation) -> None:
    broken(talk)
    transports = [talk.transport(), talk.transport()]
    for transport in transports:
        transport.resuming = True
        transport.syn()
    for transport in transports:
        transport.syn_ack()
    for transport in transports:
        transport.ack()
    talk.expect("RES-16")


@breaks("RES-18", "B, which had answered, resumes the flow.")
def res_18(talk: Conversation) -> None:
    broken(talk)
    second = talk.resume(by="B")
    talk.expected.append(("RES-18", len(talk.observed) - 2))
    second.resend("B")


@breaks("RES-21", "A resumes after ten minutes.")
def res_21(talk: Conversation) -> None:
    broken(talk)
    talk.wait(600_000 * MS)
    second = talk.resume()
    talk.expected.append(("RES-21", len(talk.observed) - 2))
    second.resend("A")


@breaks("RES-22", "A new flow takes the TIFID of one that has just ended.")
def res_22(talk: Conversation) -> None:
    talk.connect().close()
    talk.wait(1000 * MS)
    later = Conversation(tape=talk.tape)
    later.tifid = talk.tifid
    transport = later.connect()
    talk.expected.append(("RES-22", len(talk.observed) - 1))
    transport.close()


@breaks("RES-23", "The resume SYN carries data.")
def res_23(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn(payload=b"too early")
    talk.expect("RES-23")
    second.syn_ack()
    second.ack()
    second.emit("A", ACK)
