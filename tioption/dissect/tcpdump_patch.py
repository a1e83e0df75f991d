"""The patch that teaches tcpdump the option, rendered from its layout, with test cases as tcpdump keeps them.

What it prints is what `tiopt decode --format text` prints. There is a patch per line of development: the lines around
the changes differ, and so do the times in the expected output of test cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from textwrap import wrap
from typing import Final, NamedTuple

from tioption.capture.dissection import Dissection
from tioption.capture.link import LINK_LAYERS
from tioption.capture.undecoded import UndecodedCounter
from tioption.dissect.unified_diff import Hunk, added, added_binary, changed
from tioption.layout import EXPERIMENT_KINDS, EXPERIMENTS, FIELDS, KIND_FLOW_C, KIND_FLOW_D, LENGTH
from tioption.option import Variant
from tioption.render.lines import LinePrinter

_ETHERNET: Final = 1
_HEADER: Final = 2
"""Octets of kind and length, which tcpdump has read when it comes to the option's own."""


class Target(NamedTuple):
    """A line of tcpdump's development: where in its files the changes go, and how they look there."""

    name: str
    releases: str
    check_line: int
    """Of `tcp_cksum` in print-tcp.c, before which the function goes; the next three are lines of that file, too."""
    name_line: int
    case_line: int
    kinds_line: int
    """Of TCPOPT_FASTOPEN in tcp.h."""
    tests_line: int
    """Of the Fast Open test in tests/TESTLIST."""
    length_check: str
    """What LENCHECK does beside checking the header."""
    dated: bool
    """Whether expected output has the date before the time."""


TARGETS: Final = {
    target.name: target
    for target in (
        Target("4.99", "4.99.1 to 4.99.6", 142, 467, 617, 88, 249, " ND_TCHECK_LEN(cp, l);", dated=False),
        Target("master", "master, 5.0.0-PRE-GIT", 164, 504, 655, 92, 343, "", dated=True),
    )
}


class Case(NamedTuple):
    """A test case: its name, the frames of its capture (nanoseconds since 1970, Ethernet), the capture file."""

    name: str
    frames: tuple[tuple[int, bytes], ...]
    capture: bytes


def render(target: Target, cases: Iterable[Case] = (), *, captures: bool = True) -> str:
    """The whole patch, for `git apply`; for `patch`, which takes no binary file, it is made without captures."""
    cases = list(cases)
    parts = [
        _PREAMBLE.format(releases=target.releases),
        changed("print-tcp.c", _print_tcp(target)),
        changed(
            "tcp.h", [Hunk(target.kinds_line - 1, _TCP_H.format(flow_d=KIND_FLOW_D, flow_c=KIND_FLOW_C, length=LENGTH))]
        ),
    ]
    if cases:
        listed = "".join(f"+{case.name}\t{case.name}.pcap\t{case.name}.out\n" for case in cases)
        parts.append(changed("tests/TESTLIST", [Hunk(target.tests_line - 2, _TESTLIST.format(cases=listed))]))
        parts += [added(f"tests/{case.name}.out", expected(target, case)) for case in cases]
        # Last, so that a program that cannot take them has done everything else.
        parts += [added_binary(f"tests/{case.name}.pcap", case.capture) for case in cases if captures]
    return "".join(parts)


def expected(target: Target, case: Case) -> str:
    """What tcpdump's test of a case must print: a numbered line a segment, times in UTC."""
    printer = LinePrinter()
    frame = Dissection(UndecodedCounter())
    lines = []
    for number, (time_ns, octets) in enumerate(case.frames, 1):
        frame.begin(number, time_ns, octets)
        LINK_LAYERS[_ETHERNET](frame, 0, len(octets), len(octets))
        time = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).replace(microsecond=time_ns // 1000 % 1_000_000)
        shown = f"{time:%Y-%m-%d %H:%M:%S.%f}" if target.dated else f"{time:%H:%M:%S.%f}"
        # The printer's own time is that of this machine's zone.
        lines += [f"{number:5}  {shown} {printer.line(segment).partition(' ')[2]}\n" for segment in frame.segments]
    return "".join(lines)


def lookalikes() -> Iterator[bytes]:
    """Options of other experiments, which are as long as a flow option and on one of its default kinds (RFC 6994)."""
    for kind in (KIND_FLOW_D, KIND_FLOW_C):
        for _, exid in _known(kind):
            yield bytes((kind, LENGTH)) + exid + bytes(range(0x10, 0x10 + LENGTH - _HEADER - len(exid)))


def _known(kind: int) -> Iterator[tuple[str, bytes]]:
    """Title and identifier of the experiments that may have an option of this kind with the flow option's length."""
    for _, title, exid, kinds, lengths in EXPERIMENTS:
        if kind in kinds and (lengths is None or LENGTH in lengths):
            yield title, exid


def _print_tcp(target: Target) -> list[Hunk]:
    fields = [field for field in FIELDS if "." not in field[0]]
    layout = "".join(
        f"+ * {line}\n"
        for name, offset, octets, doc in fields
        for line in wrap(f"{offset:8}{octets:8}  {name}: {_plain(doc)}", 75, subsequent_indent=" " * 18)
    )
    values = {name: (offset - _HEADER, octets) for name, offset, octets, _ in fields if offset >= _HEADER}
    formats = "".join(f' {name} %0{2 * octets}" PRIx64 "' for name, (_, octets) in values.items())
    reads = ",\n".join(
        f"+{' ' * 41}GET_BE_U_{octets}(cp{f' + {offset}' if offset else ''})" for offset, octets in values.values()
    )
    function = _FUNCTION.format(
        layout=layout,
        flow_d=Variant.FLOW_D.value,
        flow_c=Variant.FLOW_C.value,
        foreign="".join(_switches()),
    )
    return [
        Hunk(target.check_line - 4, function),
        Hunk(target.name_line, _NAME.format(length_check=target.length_check), "tcp_print(netdissect_options *ndo,"),
        Hunk(
            target.case_line - 3,
            _CASE.format(format=f'"{formats}"'.removesuffix(' ""'), reads=reads),
            "tcp_print(netdissect_options *ndo,",
        ),
    ]


def _plain(doc: str) -> str:
    """A field's documentation without its sources, which are in characters that tcpdump's code has not."""
    text = doc.partition(" (")[0]
    assert text.isascii(), text
    return text


def _switches() -> Iterator[str]:
    """A switch for each length of an identifier that occurs; longest first."""
    kinds = sorted(EXPERIMENT_KINDS)
    by_exid: dict[bytes, tuple[str, list[int]]] = {}
    for kind in kinds:
        for title, exid in _known(kind):
            by_exid.setdefault(exid, (title, []))[1].append(kind)
    for octets in sorted({len(exid) for exid in by_exid}, reverse=True):
        yield f"+        switch (GET_BE_U_{octets}(cp)) {{\n"
        some = {exid: row for exid, row in by_exid.items() if len(exid) == octets}
        for exid, (title, on) in some.items():
            if on == kinds:
                yield f"+        case 0x{exid.hex()}: /* {title} */\n"
        yield "+                return 0;\n"
        for exid, (title, on) in some.items():
            if on != kinds:
                test = " || ".join(f"kind == TCPOPT_EXPERIMENT{kinds.index(kind) + 1}" for kind in on)
                yield f"+        case 0x{exid.hex()}: /* {title} */\n"
                yield f"+                if ({test})\n+                        return 0;\n+                break;\n"
        yield "+        }\n"


_PREAMBLE: Final = """\
Generated from tioption/spec.py by `python -m tioption.generate`. Do not edit.

TCP: Print the transport-independent flow option

A TCP option that is exchanged in the three-way handshake and names a flow
that outlives its TCP connection (Brown, Gardner, Kalim, Feng: "Restoring
End-to-End Resilience in the Presence of Middleboxes", ICCCN 2011; rule
OPT-01 of tiopt). It has no kind of its own yet. 253 and 254 (RFC 4727) are
what it is tried on; other kinds are compiled in by defining TCPOPT_FLOW_D
and TCPOPT_FLOW_C. Other experiments of the same length are told from it by
their identifiers (RFC 6994) and printed as before.

For tcpdump {releases}.
---
"""

_TCP_H: Final = """\
 #define	TCPOPT_MPTCP		30	/* MPTCP options */
 #define TCPOPT_FASTOPEN		34	/* TCP Fast Open (rfc7413) */
+#define TCPOPT_EXPERIMENT1	253	/* experimental headers (rfc4727) */
 #define TCPOPT_EXPERIMENT2	254	/* experimental headers (rfc4727) */
 
+/* Transport-independent flow, on kinds for experiments unless others are given */
+#ifndef TCPOPT_FLOW_D
+#define TCPOPT_FLOW_D		{flow_d}	/* a flow of data */
+#endif
+#ifndef TCPOPT_FLOW_C
+#define TCPOPT_FLOW_C		{flow_c}	/* a flow of control */
+#endif
+#define    TCPOLEN_FLOW			{length}
+
 #define TCPOPT_TSTAMP_HDR	\\
     (TCPOPT_NOP<<24|TCPOPT_NOP<<16|TCPOPT_TIMESTAMP<<8|TCPOLEN_TIMESTAMP)
 
"""

_FUNCTION: Final = """\
         {{ 0, NULL }}
 }};
 
+/*
+ * Transport-independent flow (Brown, Gardner, Kalim, Feng: "Restoring
+ * End-to-End Resilience in the Presence of Middleboxes", ICCCN 2011)
+ *
+ *   offset  octets
{layout}+ */
+static const struct tok tcp_flow_option_values[] = {{
+        {{ TCPOPT_FLOW_D, "{flow_d}" }},
+        {{ TCPOPT_FLOW_C, "{flow_c}" }},
+        {{ 0, NULL }}
+}};
+
+/* Stands for both kinds where these may be those of other options, too. */
+#define TCPOPT_FLOW 0x100
+
+/*
+ * Whether an option is that of a transport-independent flow. Others use its
+ * kinds as well and begin with an identifier of 2 or 4 octets (RFC 6994);
+ * listed are those that may have the same length. An option that was not
+ * captured to its end is printed like any other of its kind.
+ */
+static int
+tcp_option_is_flow(netdissect_options *ndo, u_int kind, u_int len,
+                   const u_char *cp)
+{{
+        if (kind != TCPOPT_FLOW_D && kind != TCPOPT_FLOW_C)
+                return 0;
+        if (len != TCPOLEN_FLOW || !ND_TTEST_LEN(cp, TCPOLEN_FLOW - 2))
+                return 0;
+        if (kind != TCPOPT_EXPERIMENT1 && kind != TCPOPT_EXPERIMENT2)
+                return 1;
+
{foreign}+        return 1;
+}}
+
 static uint16_t
 tcp_cksum(netdissect_options *ndo,
           const struct ip *ip,
"""

_NAME: Final = """\
 #define LENCHECK(l) {{ if ((l) > hlen) goto bad;{length_check} }}
 
 
-                        ND_PRINT("%s", tok2str(tcp_option_values, "unknown-%u", opt));
+                        if (tcp_option_is_flow(ndo, opt, len, cp)) {{
+                                ND_PRINT("%s", tok2str(tcp_flow_option_values, NULL, opt));
+                                opt = TCPOPT_FLOW;
+                        }} else
+                                ND_PRINT("%s", tok2str(tcp_option_values, "unknown-%u", opt));
 
                         switch (opt) {{
 
"""

_CASE: Final = """\
                                 ND_PRINT(" %u", utoval);
                                 break;
 
+                        case TCPOPT_FLOW:
+                                datalen = TCPOLEN_FLOW - 2;
+                                LENCHECK(datalen);
+                                ND_PRINT({format},
{reads});
+                                break;
+
                         case TCPOPT_MPTCP:
                             {{
                                 const u_char *snapend_save;
"""

_TESTLIST: Final = """\
 
 # TFO tests
 tfo		tfo-5c1fa7f9ae91.pcap	tfo.out
+
+# TCP transport-independent flow tests
{cases}+
 # SCPS
 scps_invalid	scps_invalid.pcap	scps_invalid.out
 
"""
