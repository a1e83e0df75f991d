"""The rows of the paper: both traces, legacy hosts, stripping, resumption, Flow-C (§III, §IV.A, §VI)."""

from __future__ import annotations

from tioption.build.conversation import MS, Conversation, Sent, Transport
from tioption.build.scenarios.registry import scenario
from tioption.option import Variant

OUTAGE = 30_000 * MS


def broken(talk: Conversation) -> None:
    """Open the flow, move bytes both ways, then lose some in a middlebox that has forgotten the connection."""
    first = talk.connect()
    first.send("A", 600)
    first.send("B", 300)
    first.send("A", 400, lost=True)
    first.send("B", 200, lost=True)
    talk.wait(OUTAGE)


def resuming(talk: Conversation) -> Transport:
    """A flow that broke, and the transport that is to carry it on; nothing of it has been sent."""
    broken(talk)
    return talk.transport(resuming=True)


@scenario(
    "trace1", "The responder is legacy TCP: option in the SYN only (Trace 1).", layout=("FreeBSD", "FreeBSD"), port=22
)
@scenario("legacy-responder", "The responder is legacy TCP; data flows both ways without an isolation boundary.")
def legacy_responder(talk: Conversation) -> None:
    """The SYN offers, nobody answers."""
    transport = talk.connect(syn_ack=None, ack=None)
    transport.send("A", 100)
    transport.send("B", 200)
    transport.close()


@scenario("trace2", "Both hosts implement the option (Trace 2).", layout=("FreeBSD", "FreeBSD"), port=22)
@scenario("established", "Both hosts implement the option; data flows both ways.")
@scenario("established-ipv6", "The same over IPv6.", a="2001:db8::1", b="2001:db8:ffff::2")
def established(talk: Conversation) -> None:
    """An ordinary flow from SYN to FIN."""
    transport = talk.connect()
    transport.send("A", 100)
    transport.send("B", 200)
    transport.close()


@scenario("legacy-initiator", "The initiator is legacy TCP, so there is no option at all.")
def legacy_initiator(talk: Conversation) -> None:
    """Nobody offers."""
    transport = talk.connect(syn=None, syn_ack=None, ack=None)
    transport.send("A", 100)
    transport.close()


@scenario("stripped-forward", "A middlebox strips the option on the way to the responder: both end up legacy.")
def stripped_forward(talk: Conversation) -> None:
    """B never sees the offer; captured at A."""
    transport = talk.connect(syn_ack=None, ack=None)
    transport.send("A", 100)
    transport.close()


@scenario("stripped-backward", "A middlebox strips the option on the way back: A confirms nothing, B falls back.")
def stripped_backward(talk: Conversation) -> None:
    """B answers with the option, A does not see it (LEG-03)."""

    def strip(sent: Sent) -> Sent:
        header = sent.header._replace(options=sent.header.options[:20]) if sent.side == "B" else sent.header
        return sent._replace(header=header)

    talk.path = strip
    transport = talk.connect(ack=None)
    talk.expect("LEG-03")
    transport.send("A", 100)
    transport.close()


@scenario("resume", "A middlebox loses its state; the flow resumes on a second transport from a new port.")
def resume(talk: Conversation) -> None:
    """Exact resumption (R1): no byte lost or sent twice."""
    broken(talk)
    second = talk.resume()
    second.resend("A")
    second.resend("B")
    second.close()


@scenario("resume-elsewhere", "The initiator has moved: the flow resumes from another address.")
def resume_elsewhere(talk: Conversation) -> None:
    """The TIFID finds the flow, not the address (RES-03)."""
    broken(talk)
    second = talk.resume(client=talk.a._replace(address="203.0.113.77", port=50123))
    talk.expected.append(("RES-03", len(talk.observed) - 2))
    second.resend("A")
    second.resend("B")
    second.close()


@scenario("resume-twice", "The flow breaks twice and resumes on a second and a third transport.")
def resume_twice(talk: Conversation) -> None:
    """Positions go on across any number of transports."""
    broken(talk)
    second = talk.resume()
    second.resend("A")
    second.resend("B")
    second.send("A", 5000)
    second.send("B", 70, lost=True)
    talk.wait(OUTAGE)
    third = talk.resume()
    third.resend("B")
    third.send("A", 10)
    third.close()


@scenario("flow-c", "A control flow: the same exchange with the other kind.", variant=Variant.FLOW_C)
def flow_c(talk: Conversation) -> None:
    """Flow-C behaves like Flow-D (CTL-01)."""
    established(talk)
