"""SEC: identifiers that cannot be guessed or taken."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation
from tioption.build.scenarios.paper import resume, resuming
from tioption.build.scenarios.registry import breaks, keeps
from tioption.capture.segment import ACK, RST
from tioption.option import Tifid
from tioption.seq import SEQ48


@keeps("SEC-01", "SEC-02", text="Several flows at once, each with an identifier of its own.")
def several(talk: Conversation) -> None:
    talk.connect()
    for _ in range(5):
        Conversation(tape=talk.tape).connect()


keeps("SEC-04", "SEC-05", text="A flow resumes exactly where it stopped.")(resume)


@breaks("SEC-01", "The initiator counts its halves up from flow to flow.")
def sec_01(talk: Conversation) -> None:
    for number in range(6):
        flow = Conversation(tape=talk.tape)
        flow.tifid = Tifid.from_halves(0x123450 + number, flow.tifid.second)
        flow.connect()
    talk.expected.append(("SEC-01", len(talk.observed) - 2))


@breaks("SEC-02", "A new flow is given the TIFID of one that lives.")
def sec_02(talk: Conversation) -> None:
    talk.connect()
    talk.wait(1000 * MS)
    other = Conversation(tape=talk.tape)
    other.tifid = talk.tifid
    other.connect()
    talk.expected.append(("SEC-02", len(talk.observed) - 1))


@breaks("SEC-04", "Somebody sends many resume SYNs with TIFIDs that nobody knows.")
def sec_04(talk: Conversation) -> None:
    for _ in range(40):
        stranger = Conversation(tape=talk.tape)
        attempt = stranger.transport(resuming=True)
        attempt.syn()
        talk.wait(talk.rtt)
        attempt.emit("B", RST | ACK, seq=0, ack=SEQ48.add(attempt.isn["A"], 1) & 0xFFFFFFFF)
    talk.expected.append(("SEC-04", 39))  # with the twentieth of them nobody believes in chance any more


@breaks("SEC-05", "A resume SYN knows the TIFID but stands far outside the window.")
def sec_05(talk: Conversation) -> None:
    second = resuming(talk)
    second.syn(option=lambda option: option.replace(tiseq=SEQ48.add(option.tiseq, 1 << 40)))
    talk.expect("RES-02", "SEC-05")
    talk.wait(talk.rtt)
    second.emit("B", RST | ACK, seq=0, ack=(second.isn["A"] + 1) & 0xFFFFFFFF)
    second.emit("A", ACK)
