"""LEG: peers and paths without the option, or with something that only looks like it."""

from __future__ import annotations

from typing import Final

from tioption.conform.case import Case, Script
from tioption.conform.checks.establishment import fallen_back
from tioption.conform.outcome import NotApplicable
from tioption.conform.registry import Need, check
from tioption.conform.transport import MSS, Transport
from tioption.layout import LENGTH
from tioption.packet import mss

_UNKNOWN_KIND: Final = 200


@check("LEG-02", Need.TCP)
def nothing_unasked(case: Case) -> Script[None]:
    """A SYN without the option is answered without."""
    transport = yield from case.open()
    if transport.answer is None:
        raise NotApplicable(f"no SYN-ACK to a SYN without the option, but {transport.told}")
    case.require(transport.answer.flow is None, "a SYN-ACK without the option", transport.answer)


@check("LEG-03", Need.RESUME)
def plain_confirmation(case: Case) -> Script[None]:
    """A third ACK without the option makes plain TCP of the connection.

    It goes on without the flow: a resume is refused.
    """
    flow = yield from case.agreed()
    flow.transport.confirm(None)
    yield from case.pause(case.quiet // 4)
    yield from fallen_back(case, flow, "a third ACK without the option")


@check("LEG-05", Need.RESUME)
def stripped_copy(case: Case) -> Script[None]:
    """After a copy of the SYN without the option, the third ACK decides: with the option there is a flow."""
    flow = yield from case.agreed()
    transport = flow.transport
    transport.syn(None, transport.common_options())
    yield from case.pause(case.quiet)
    transport.confirm(flow.confirmation)
    payload = case.octets(40)
    arrived = yield from case.carried(transport, payload)
    case.require(arrived, "octets to be acknowledged after a copy of the SYN without the option", transport.told)
    flow.sent += len(payload)
    attempt = yield from case.attempted(flow)
    case.require(attempt.answer is not None, "a flow, which the third ACK confirmed", attempt.transport.told)


@check("LEG-08", Need.TCP)
def malformed(case: Case) -> Script[None]:
    """A malformed or unknown option never breaks plain TCP.

    Options of 2 and 19 octets and of a kind that nobody knows; then length octets of 0 and 1 and one past the end of
    the header, where only a RST counts against the host: Linux drops such SYNs.
    """
    octets = case.offer().encode(case.setting.kinds)
    kind = octets[0]
    whole = {
        "of length 2": bytes((kind, 2)),
        "of length 19": bytes((kind, LENGTH - 1)) + octets[2:-1],
        "of an unknown kind": bytes((_UNKNOWN_KIND, LENGTH)) + octets[2:],
    }
    for what, area in whole.items():
        transport = yield from case.open(area=mss(MSS) + area)
        case.require(transport.answer is not None, f"a SYN-ACK to a SYN with an option {what}", transport.told)
        yield from _goes_on(case, transport, what)
    illegal = {"of length 0": 0, "of length 1": 1, "past the end of the header": 60}
    for what, length in illegal.items():
        transport = yield from case.open(area=mss(MSS) + bytes((kind, length)) + octets[2:], within=case.quiet)
        case.require(transport.reset is None, f"no RST to a SYN with an option {what}", transport.told)
        if transport.answer is not None:
            yield from _goes_on(case, transport, what)


def _goes_on(case: Case, transport: Transport, what: str) -> Script[None]:
    transport.confirm(None)
    plain = yield from case.goes_on_plainly(transport)
    case.require(plain, f"octets to be acknowledged after a SYN with an option {what}", transport.told)
