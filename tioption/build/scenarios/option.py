"""OPT: the option's format and where it may stand."""

from __future__ import annotations

from tioption.build.conversation import Conversation
from tioption.build.packet import NOP, mss
from tioption.build.scenarios.paper import established
from tioption.build.scenarios.registry import breaks, keeps
from tioption.capture.segment import ACK, PSH
from tioption.option import FlowOption, Tifid, Variant

_SMALL = ("Windows", "Windows")  # a layout that leaves 28 octets

keeps(
    *("OPT-01", "OPT-03", "OPT-04", "OPT-05", "OPT-06", "OPT-07", "OPT-08", "OPT-09", "OPT-10", "OPT-11", "OPT-12"),
    text="An ordinary flow from SYN to FIN.",
)(established)


def _unanswered(talk: Conversation, options: bytes, *rules: str) -> None:
    """A SYN with these options, which the responder treats as one without ours; then plain TCP."""
    transport = talk.transport()
    transport.syn(options=options)
    talk.expect(*rules)
    transport.syn_ack(option=None)
    transport.ack(option=None)
    transport.send("A", 50)
    transport.close()


def _offer(talk: Conversation, variant: Variant | None = None, tifid: Tifid | None = None) -> bytes:
    first = tifid or Tifid.from_halves(talk.tifid.first)
    return FlowOption(variant or talk.variant, first, talk.streams["A"].s0, 0).encode(talk.kinds)


@breaks("OPT-01", "The SYN-ACK's option is 18 octets long; A takes it for none.")
def opt_01(talk: Conversation) -> None:
    transport = talk.connect(syn_ack=lambda option: bytes((253, 18)) + option.encode()[2:18], ack=None)
    talk.expected.append(("OPT-01", 2))
    transport.send("A", 50)
    transport.close()


@breaks("OPT-03", "The option is 22 octets long, as one with an experiment identifier would be.", layout=_SMALL)
def opt_03(talk: Conversation) -> None:
    _unanswered(talk, mss(1460) + bytes((253, 22)) + b"\x7f\x01" + _offer(talk)[2:], "OPT-03")


@breaks("OPT-04", "The SYN carries two Flow-D options.")
def opt_04(talk: Conversation) -> None:
    _unanswered(talk, _offer(talk) * 2, "OPT-04")


@breaks("OPT-05", "The SYN carries Flow-D and Flow-C.")
def opt_05(talk: Conversation) -> None:
    _unanswered(talk, _offer(talk, Variant.FLOW_D) + _offer(talk, Variant.FLOW_C), "OPT-05")


@breaks("OPT-06", "The SYN's TIFID has a first half of zero.")
def opt_06(talk: Conversation) -> None:
    _unanswered(talk, mss(1460) + _offer(talk, tifid=Tifid(0)), "OPT-06")


@breaks("OPT-07", "The third ACK's TIFID has a second half of zero.")
def opt_07(talk: Conversation) -> None:
    transport = talk.connect(ack=lambda option: option.replace(tifid=Tifid.from_halves(option.tifid.first)))
    talk.expect("OPT-07", "EST-07")
    transport.close()


@breaks("OPT-08", "The SYN's option begins at octet 5 of the option area.")
def opt_08(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(options=mss(1460) + NOP + _offer(talk))
    talk.expect("OPT-08")
    transport.syn_ack()
    transport.ack()
    transport.close()


@breaks("OPT-09", "A repeats the option on data, after B has sent some.")
def opt_09(talk: Conversation) -> None:
    transport = talk.connect()
    transport.send("B", 30)
    confirmation = FlowOption(talk.variant, talk.tifid, talk.streams["A"].s0, talk.streams["B"].s0)
    transport.emit("A", ACK | PSH, payload=b"late", option=confirmation)
    talk.expect("OPT-09")


@breaks("OPT-10", "A resets the connection and puts the option on the RST.")
def opt_10(talk: Conversation) -> None:
    transport = talk.connect()
    transport.send("A", 30)
    transport.reset("A", option=FlowOption(talk.variant, talk.tifid, talk.streams["A"].s0, talk.streams["B"].s0))
    talk.expect("OPT-10")


@breaks("OPT-11", "The SYN carries an MD5 signature beside the option.")
def opt_11(talk: Conversation) -> None:
    _unanswered(talk, b"\x13\x12" + bytes(range(16)) + NOP * 2 + _offer(talk), "OPT-11")


@breaks("OPT-12", "The TIFID begins like the identifier of Shared Memory Communications.")
def opt_12(talk: Conversation) -> None:
    talk.tifid = Tifid.from_halves(0xE2D455, talk.tifid.second)
    transport = talk.transport()
    transport.syn()
    talk.expect("OPT-12")
    transport.syn_ack()
    talk.expect("OPT-12")
    transport.ack()
    talk.expect("OPT-12")
    transport.close()
