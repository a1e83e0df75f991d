"""CTL: Flow-C, the control variant."""

from __future__ import annotations

from tioption.build.conversation import Conversation
from tioption.build.scenarios.paper import broken, established
from tioption.build.scenarios.registry import breaks, keeps
from tioption.option import Variant

_CONTROL = Variant.FLOW_C

keeps("CTL-01", "CTL-04", text="An ordinary control flow.", variant=_CONTROL)(established)


@keeps("CTL-02", text="A control flow resumes as a control flow.", variant=_CONTROL)
def resumed(talk: Conversation) -> None:
    broken(talk)
    second = talk.resume()
    second.resend("A")
    second.close()


@keeps("CTL-03", text="The responder is legacy TCP: the control flow is closed before any data.", variant=_CONTROL)
def closed(talk: Conversation) -> None:
    talk.connect(syn_ack=None, ack=None).close()


@breaks("CTL-01", "A control flow breaks a rule that holds for both variants: TIAck 1 in the SYN.", variant=_CONTROL)
def ctl_01(talk: Conversation) -> None:
    transport = talk.transport()
    transport.syn(option=lambda option: option.replace(tiack=1))
    talk.expect("EST-01")
    transport.syn_ack()
    transport.ack()
    transport.close()


@breaks("CTL-02", "A data flow is resumed with the control kind.")
def ctl_02(talk: Conversation) -> None:
    broken(talk)
    talk.variant = _CONTROL
    second = talk.resume()
    talk.expected.append(("CTL-02", len(talk.observed) - 2))
    second.resend("A")


@breaks("CTL-03", "The responder is legacy TCP, and control bytes are sent to it all the same.", variant=_CONTROL)
def ctl_03(talk: Conversation) -> None:
    transport = talk.connect(syn_ack=None, ack=None)
    transport.send("A", 10, acked=False)
    talk.expect("CTL-03")


@breaks("CTL-04", "A data flow and a control flow have the same TIFID.")
def ctl_04(talk: Conversation) -> None:
    talk.connect()
    control = Conversation(tape=talk.tape, variant=_CONTROL)
    control.tifid = talk.tifid
    control.connect()
    talk.expected.append(("CTL-04", len(talk.observed) - 1))
