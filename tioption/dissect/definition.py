"""What the plugin adds to the option's own fields, and which rules it judges: the one place that names them.

The plugin, its profile and the reference page derive from here; the option's own fields come from `tioption.layout`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tioption.layout import FIELDS
from tioption.rules import RULES, Severity, Where

PROTOCOL: Final = "tiflow"
"""The protocol's name in display filters; every field's begins with it and a dot."""


class Field(NamedTuple):
    """A field as display filters know it, without the protocol's name in front.

    `type` is one of `uint8`, `uint24`, `uint32`, `uint64`, `int64`, `string`, `bytes`, `frame` (a frame number that
    links to the frame) and `time` (seconds with 9 decimals); `base` says how Wireshark prints a number.
    """

    name: str
    type: str
    base: str
    title: str
    doc: str


_OPTION_TYPES: Final = {1: ("uint8", "DEC"), 3: ("uint24", "HEX"), 6: ("uint64", "HEX")}
_TITLES: Final = {
    "kind": "Kind",
    "length": "Length",
    "tifid": "TIFID",
    "tifid.first": "First half",
    "tifid.second": "Second half",
    "tiseq": "TISeq",
    "tiack": "TIAck",
}

OPTION_FIELDS: Final = tuple(Field(name, *_OPTION_TYPES[octets], _TITLES[name], doc) for name, _, octets, doc in FIELDS)
"""The option's own fields, in wire order."""

DERIVED_FIELDS: Final = (
    Field("variant", "string", "NONE", "Variant", "flow-d or flow-c"),
    Field("tifid.bytes", "bytes", "NONE", "TIFID as octets", "for slices and `contains`; hidden in the tree"),
    Field("experiment", "string", "NONE", "Experiment", "whose experiment an option on these kinds is (RFC 6994)"),
    Field("experiment.exid", "bytes", "NONE", "Experiment identifier", "2 or 4 octets (RFC 6994)"),
    Field("experiment.data", "bytes", "NONE", "Data", "the octets of a foreign option after its identifier"),
    Field("phase", "string", "NONE", "Phase", "what the segment with the option is to its handshake"),
    Field("rule", "string", "NONE", "Rule", "each rule the segment breaks or is noted for"),
    Field("severity", "string", "NONE", "Severity", "of each rule: violation, warning or note"),
    Field("flow", "uint32", "DEC", "Flow", "number of the flow, from 0, on all its segments and transports"),
    Field("transport", "uint32", "DEC", "Transport", "which transport of its flow the connection is, from 1"),
    Field("transport.previous", "frame", "NONE", "Previous transport", "first frame of the transport before"),
    Field("transport.next", "frame", "NONE", "Next transport", "first frame of the transport that takes over"),
    Field("position", "uint64", "HEX", "Position", "position of the segment's first octet, mod 2^48 (MAP-01, MAP-03)"),
    Field("position.relative", "int64", "DEC", "Position, relative", "octets since the stream's initial position"),
    Field("ack_position", "uint64", "HEX", "Acknowledged position", "position the segment acknowledges, mod 2^48"),
    Field(
        "ack_position.relative", "int64", "DEC", "Acknowledged position, relative", "octets since the initial position"
    ),
    Field("reconnect_time", "time", "NONE", "Time to reconnect", "from the resume SYN to the segment that confirms it"),
    Field(
        "outage", "time", "NONE", "Outage", "from the last segment of the transport before to the resume SYN (RES-10)"
    ),
)
"""What the plugin makes of it."""

FIELDS_BY_NAME: Final = {field.name: field for field in (*OPTION_FIELDS, *DERIVED_FIELDS)}
"""Every field."""

_TWO_POINTS: Final = {"MBX-01", "MBX-02", "MBX-03", "MBX-05"}
_BY_OTHER_NAMES: Final = {"LEG-02", "CTL-01", "MBX-04"}

JUDGED: Final = tuple(
    rule.id for rule in RULES.values() if rule.where is Where.WIRE and rule.id not in _TWO_POINTS | _BY_OTHER_NAMES
)
"""The rules whose findings the plugin shows: all that one capture can show, under the names the validator gives."""

OTHER_SEVERITIES: Final[dict[str, tuple[Severity, ...]]] = {
    "OPT-01": (Severity.NOTE,),
    "EST-10": (Severity.WARNING,),
    "LEG-07": (Severity.VIOLATION,),
    "MAP-02": (Severity.NOTE,),
    "MAP-04": (Severity.WARNING,),
    "MAP-07": (Severity.NOTE,),
    "RES-02": (Severity.NOTE,),
    "RES-04": (Severity.NOTE,),
    "RES-14": (Severity.NOTE,),
    "RES-15": (Severity.NOTE,),
    "SEC-05": (Severity.NOTE,),
}
"""Severities that a finding can have beside its rule's own."""
