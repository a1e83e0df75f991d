"""CTL: what is different about the variants, and that they are."""

from __future__ import annotations

from tioption.conform.case import Case, Script
from tioption.conform.registry import Need, check
from tioption.conform.transport import Transport
from tioption.option import FlowOption, Variant


@check("CTL-02", Need.RESUME)
def other_kind(case: Case) -> Script[None]:
    """A resume with the other kind names another flow."""
    flow = yield from case.begun()
    option = FlowOption(case.other_variant(), flow.tifid, flow.nxt, flow.rcv)
    case.refused((yield from case.attempted(flow, option=option)), f"with the kind of {option.variant.value}")


@check("CTL-03", Need.FLOW, variant=Variant.FLOW_C)
def no_control_without_support(case: Case) -> Script[None]:
    """A connection without a flow is closed before any octet.

    Once the SYN has no option, once the third ACK has none.
    """
    plain = yield from case.open()
    if plain.answer is not None:  # a RST to the SYN is well, too
        plain.confirm(None)
        yield from _closed(case, plain, "a SYN without the option")
    flow = yield from case.agreed()
    flow.transport.confirm(None)
    yield from _closed(case, flow.transport, "a third ACK without the option")


def _closed(case: Case, transport: Transport, after: str) -> Script[None]:
    yield from case.until(lambda: transport.reset or transport.fin or transport.received)
    if transport.received:
        case.require(False, f"no octet after {after}", f"{len(transport.received)} octets")
    case.require(transport.reset or transport.fin, f"the connection to be closed after {after}", transport.told)
