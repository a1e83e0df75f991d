"""`docs/reference/wireshark.md`: the plugin's fields, rules and preferences, and the profile, as tables."""

from __future__ import annotations

from tioption.dissect import profile
from tioption.dissect.definition import DERIVED_FIELDS, JUDGED, OPTION_FIELDS, OTHER_SEVERITIES, PROTOCOL, Field
from tioption.rules import severity_of

_TYPES = {
    "uint8": "8-bit number",
    "uint24": "24-bit number",
    "uint32": "number",
    "uint64": "48-bit number",
    "int64": "signed number",
    "string": "text",
    "bytes": "octets",
    "frame": "frame number",
    "time": "seconds",
}


def _fields(fields: tuple[Field, ...]) -> str:
    rows = ["| field | type | what it is |", "|-|-|-|"]
    rows += [f"| `{PROTOCOL}.{field.name}` | {_TYPES[field.type]} | {field.doc} |" for field in fields]
    return "\n".join(rows)


def _severities() -> str:
    rows = ["| rule | severity | in some cases |", "|-|-|-|"]
    for rule in JUDGED:
        others = ", ".join(severity.value for severity in OTHER_SEVERITIES.get(rule, ()))
        rows.append(f"| {rule} | {severity_of(rule).value} | {others} |")
    return "\n".join(rows)


def _buttons() -> str:
    rows = ["| button | display filter | shows |", "|-|-|-|"]
    rows += [f"| {label} | `{text}` | {about} |" for label, text, about in profile.BUTTONS]
    return "\n".join(rows)


def render() -> str:
    """The text of the page."""
    columns = ", ".join(title for title, _ in profile.COLUMNS)
    colours = ", ".join(colour.name.removeprefix("TI-flow").strip(" ,") or "any other" for colour in profile.COLOURS)
    return f"""\
<!-- Generated from tioption/dissect/definition.py by `python -m tioption.generate`. Do not edit. -->
# The Wireshark plugin

`dissectors/wireshark/tiflow.lua` is one Lua file for Wireshark and tshark from 3.4 on. Give it with `-X
lua_script:tiflow.lua`, or put it into a plugin folder (`tshark -G folders` names them). As root, releases from 4.2 on
load neither scripts given with `-X` nor personal plugins: run as an ordinary user, or use the global folder. A plugin
that is installed and given once more is loaded once.

The protocol is `{PROTOCOL}`. It replaces Wireshark's own dissector of the two kinds: the experiments of RFC 6994 that
share them are shown with their names, and only what is a flow option is taken for one.

## Fields

The option's own, in the TCP options of the segment:

{_fields(OPTION_FIELDS)}

What the plugin makes of them. From `phase` on they stand in a block of their own, which every segment of a flow has,
data too:

{_fields(DERIVED_FIELDS)}

The number of a flow is that of its first SYN with the option, so an offer that came to nothing has one as well. What
follows a segment is known only when the capture is read a second time: in Wireshark always, in tshark with `-2`. So
it is for `transport.next`, and for `transport` and positions of segments before the one that confirms the transport.

## Filters worth knowing

| display filter | shows |
|-|-|
| `tiflow.flow == 3` | one flow, over all its connections |
| `tiflow.transport > 1` | what was carried after a reconnect |
| `tiflow.phase contains "resume"` | the handshakes that carry a flow on |
| `tiflow.outage > 10` | reconnects after more than ten seconds of silence |
| `tiflow.rule == "EST-05"` | segments that break a rule |
| `tiflow.severity == "violation"` | segments that break any rule in earnest |
| `tiflow.tifid.bytes[0:3] == 0a:45:30` | all flows with this first half |
| `tiflow.position in {{0x1d..0x405}}` | who carried these octets of a stream, on whichever connection |
| `tiflow.experiment` | other people's experiments on the kinds |

## Rules

Each finding is an expert info with the rule and its text, and a `tiflow.rule` with its `tiflow.severity`; the filter
name of the expert info is `tiflow.expert.` and the rule in small letters. Violations are errors, warnings warnings,
notes notes. They are those of [`tiopt validate`](cli.md#tiopt-validate-file), on the same frames. In some cases a
finding weighs differently; the name then ends in that severity.

{_severities()}

Rules that show only between two capture points are not judged.

## Preferences

| preference | default | meaning |
|-|-|-|
| `tiflow.kind_d`, `tiflow.kind_c` | 253, 254 | the kinds; kinds given up are Wireshark's again |
| `tiflow.relative` | TRUE | positions in the Info column count from the flow's initial ones |
| `tiflow.every_segment` | TRUE | follow every segment; FALSE looks at handshakes and options alone, without positions |
| `tiflow.statistics` | FALSE | tshark prints the statistics at the end |

## Statistics and streams

`tshark -q -r FILE -o tiflow.statistics:TRUE` prints every flow with its verdict, transports, outages, octets and
rules; so does `-X lua_script:tiflow.lua -X lua_script1:stats`, installed or not. With
`lua_script1:follow,0,A` in its place tshark prints the octets that A, who opened it, sent on flow 0, over
all transports, each once; with `B` those of the other
side. Octets that are not in the capture are said to be missing.

In Wireshark both are in the menu Tools, TI-flow.

## Profile

The folder `dissectors/wireshark/profile/{profile.NAME}` goes below `profiles` in the personal configuration (`tshark
-G folders`); choose it there or with `-C {profile.NAME}`. Its columns: {columns}. Its colours: {colours}.

{_buttons()}

## Limits

Positions are exact where the handshake of the transport is in the capture. The TCP header is looked for in the first
512 octets of a frame; of a datagram in fragments the first counts, as in `tiopt decode`. Where two TCP headers lie in
each other, the inner one counts.

On a capture of nothing but flows `tshark -r` takes about 1.5 times as long with the plugin, with `-2` about 1.6 times,
and with `-T fields` or `-V`, where nine fields are made for every segment, 1.9 times; on plain TCP 1.4 times.
`make bench` measures it. Unlike `tiopt validate`, Wireshark keeps every connection of a capture in memory, and so does
the plugin.
"""
