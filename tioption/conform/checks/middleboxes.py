"""MBX: what paths do that an endpoint has to put up with, as far as one end alone can do it."""

from __future__ import annotations

from tioption.conform.case import Case, Script
from tioption.conform.registry import Need, check


@check("MBX-03", Need.RESUME)
def copies_on_data(case: Case) -> Script[None]:
    """Copies of the third ACK's option on data, as the splitting of segments makes them, are ignored."""
    flow = yield from case.established()
    transport = flow.transport
    for _ in range(2):
        payload = case.octets(40)
        arrived = yield from case.carried(transport, payload, flow.confirmation)
        case.require(arrived, "data with a copy of the option to be acknowledged", transport.told)
        flow.sent += len(payload)
    attempt = yield from case.attempted(flow)
    told = attempt.transport.told
    case.require(attempt.answer is not None, "a flow that can be resumed after data with copies of the option", told)
