"""The validator's report: lines for people, rows for programs, JUnit for continuous integration.

Keys and their order are the command line's contract: rows of the types connection, flow and summary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tioption.render.values import address_text
from tioption.rules import Severity
from tioption.verdict.ordinary_row import OrdinaryRow, OrdinaryRows
from tioption.verdict.outcome import Verdict
from tioption.verdict.segment import Finding
from tioption.verdict.validator import FlowSummary, Judged, Validator

if TYPE_CHECKING:
    from tioption.render.junit import Case
    from tioption.verdict.joint import Joint, JointConnection, JointFlow

Reported = Judged | FlowSummary | OrdinaryRows
"""What a validator reports: a connection, a flow, or many ordinary ones at once."""

_NS = 1_000_000_000


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "frame": finding.frame,
        "offset": finding.offset,
        "expected": finding.expected,
        "found": finding.found,
        "text": finding.text,
    }


def _connection(file: str, transport: int | None, judged: Judged) -> dict[str, Any]:
    connection, handshake = judged.connection, judged.handshake
    verdict, reason = judged.outcome
    option = handshake.confirmation or handshake.answer or handshake.offer
    return {
        "type": "connection",
        "file": file,
        "index": connection.index,
        "src": address_text(connection.client.address),
        "sport": connection.client.port,
        "dst": address_text(connection.server.address),
        "dport": connection.server.port,
        "verdict": verdict.value,
        "reason": reason,
        "variant": option.variant.value if option is not None else None,
        "tifid": str(option.tifid) if option is not None else None,
        "transport": transport,
        "findings": [_finding(finding) for finding in judged.findings],
    }


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / _NS


def _flow(flow: FlowSummary) -> dict[str, Any]:
    variant, tifid = flow.entry.flow.key
    return {
        "type": "flow",
        "tifid": str(tifid),
        "variant": variant.value,
        "transports": list(flow.transports),
        "reconnects": [
            {"frame": frame, "rtt": _seconds(rtt), "outage": _seconds(outage)} for frame, rtt, outage in flow.reconnects
        ],
        "bytes": list(flow.octets),
        "findings": [_finding(finding) for finding in flow.entry.findings],
    }


def _ordinary_connection(file: str, row: OrdinaryRow, rows: OrdinaryRows) -> dict[str, Any]:
    verdict, reason = rows.outcomes[row.code]
    variant = rows.kinds.variant(row.kind) if row.kind else None
    return {
        "type": "connection",
        "file": file,
        "index": row.connection,
        "src": address_text(row.client[: row.address]),
        "sport": row.client_port,
        "dst": address_text(row.server[: row.address]),
        "dport": row.server_port,
        "verdict": verdict.value,
        "reason": reason,
        "variant": variant.value if variant is not None else None,
        "tifid": f"{row.tifid:012x}" if variant is not None else None,
        "transport": 1 if row.flow else None,
        "findings": [],
    }


def _ordinary_flow(row: OrdinaryRow, rows: OrdinaryRows) -> dict[str, Any]:
    variant = rows.kinds.variant(row.kind)
    assert variant is not None
    return {
        "type": "flow",
        "tifid": f"{row.tifid:012x}",
        "variant": variant.value,
        "transports": [row.connection],
        "reconnects": [],
        "bytes": [row.sent_a, row.sent_b],
        "findings": [],
    }


def summary(verdicts: Mapping[Verdict, int], severities: Mapping[Severity, int], given_up: int = 0) -> dict[str, Any]:
    """The summary row: connections by verdict, findings by severity, connections given up before the end."""
    row: dict[str, Any] = {"type": "summary", "connections": sum(verdicts.values())}
    row |= {verdict.value: verdicts.get(verdict, 0) for verdict in Verdict}
    row |= {f"{severity.value}s": severities.get(severity, 0) for severity in Severity}
    return row | {"given_up": given_up}


def report_rows(file: str, validator: Validator, reported: Iterable[Reported]) -> Iterator[dict[str, Any]]:
    """The rows of what a capture's validator reports, in its order."""
    for one in reported:
        if isinstance(one, Judged):
            yield _connection(file, validator.transport(one), one)
        elif isinstance(one, FlowSummary):
            yield _flow(one)
        elif one.flows:
            yield from (_ordinary_flow(row, one) for row in one.rows())
        else:
            yield from (_ordinary_connection(file, row, one) for row in one.rows())


def joint_connection(files: Sequence[str], joint: Joint, one: JointConnection) -> dict[str, Any]:
    """The row of a connection that was judged in several captures: its number in the first, and where it goes on."""
    (number, seen), *others = one.parts
    if isinstance(one.reported, Judged):
        row = _connection(files[number], one.transport, one.reported)
    else:
        row = _ordinary_connection(files[number], *one.reported)
    row |= {"index": seen.number, "findings": [_finding(finding) for finding in one.findings]}
    _placed(files, joint, row)
    for file, part in one.parts:
        row["findings"] += [_finding(finding) | {"file": files[file]} for finding in part.kept]
    return row | ({"continues": [files[file] for file, _ in others]} if others else {})


def joint_flow(files: Sequence[str], joint: Joint, flow: JointFlow) -> dict[str, Any]:
    """The row of a flow whose transports lie in several captures."""
    row = _flow(flow.reported) if isinstance(flow.reported, FlowSummary) else _ordinary_flow(*flow.reported)
    row |= {"transports": [seen.number for _, seen in flow.begun]}
    return _placed(files, joint, row) | {"files": [files[file] for file, _ in flow.begun]}


def _placed(files: Sequence[str], joint: Joint, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the file beside each frame."""
    for key in ("reconnects", "findings"):
        for one in row.get(key, ()):
            file, one["frame"] = joint.place(one["frame"])
            one["file"] = files[file]
    return row


def report_text(file: str, validator: Validator, reported: Iterable[Reported]) -> Iterator[str]:
    """The same in words: whole lines, one or many at a time."""
    for one in reported:
        if isinstance(one, OrdinaryRows):
            yield _ordinary_text(one)
        else:
            yield from (line + "\n" for line in report_lines(report_rows(file, validator, (one,))))


def _ordinary_text(rows: OrdinaryRows) -> str:
    from tioption.render._report import lines  # noqa: PLC0415  there are ordinary rows only where there is C

    words: list[bytes | None] = [None] * (max(rows.outcomes) + 1)
    for code, (verdict, reason) in rows.outcomes.items():
        words[code] = _outcome_text(verdict.value, reason).encode()
    return lines(rows.octets, rows.flows, rows.kinds.flow_d, words).decode()


def report_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """The rows in words, findings indented below what they are about."""
    for row in rows:
        yield _connection_line(row) if row["type"] == "connection" else _flow_line(row)
        for finding in row["findings"]:
            yield f"    {_finding_line(finding)}"


def _peer(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _connection_line(row: dict[str, Any]) -> str:
    peers = f"{_peer(row['src'], row['sport'])} > {_peer(row['dst'], row['dport'])}"
    flow = f"  {row['variant']} {row['tifid']}" if row["tifid"] else ""
    transport = f", transport {row['transport']}" if row["transport"] else ""
    further = f", goes on in {', '.join(row['continues'])}" if "continues" in row else ""
    return f"{row['index']}  {peers}  {_outcome_text(row['verdict'], row['reason'])}{flow}{transport}{further}"


def _outcome_text(verdict: str, reason: str) -> str:
    return f"{verdict} ({reason})" if reason else verdict


def _flow_line(row: dict[str, Any]) -> str:
    carried = ", ".join(map(str, row["transports"]))
    if "files" in row:
        carried = ", ".join(f"{index} in {file}" for index, file in zip(row["transports"], row["files"], strict=True))
    line = f"{row['variant']} {row['tifid']}  connections {carried}  {row['bytes'][0]} and {row['bytes'][1]} bytes"
    for reconnect in row["reconnects"]:
        line += f"; resumed in frame {reconnect['frame']}{_of_file(reconnect)}"
        if reconnect["rtt"] is not None:
            line += f" within {reconnect['rtt'] * 1000:.3f} ms, {reconnect['outage']:.3f} s after it was last heard"
    return line


def _finding_line(finding: dict[str, Any]) -> str:
    values = f" (expected {finding['expected']}, found {finding['found']})" if finding["found"] else ""
    place = f"frame {finding['frame']}{_of_file(finding)}"
    return f"{place}: {finding['rule']} {finding['severity']}: {finding['text']}{values}"


def _of_file(place: dict[str, Any]) -> str:
    return f" of {place['file']}" if "file" in place else ""


def summary_line(row: dict[str, Any]) -> str:
    """The summary row in words; verdicts nobody got are left out."""
    verdicts = ", ".join(f"{row[verdict.value]} {verdict.value}" for verdict in Verdict if row[verdict.value])
    found = ", ".join(f"{row[f'{one.value}s']} {one.value}{'s' * (row[f'{one.value}s'] != 1)}" for one in Severity)
    connections = f"{row['connections']} connection{'s' * (row['connections'] != 1)}"
    early = f"; {row['given_up']} of them reported early, for there were too many" if row["given_up"] else ""
    return f"{connections}{': ' if verdicts else ''}{verdicts}; {found}{early}"


def junit(files: dict[str, list[dict[str, Any]]], *, strict: bool) -> str:
    """A JUnit document: a suite per file, a case per connection and flow that fails by its violations."""
    from tioption.render.junit import document  # noqa: PLC0415  only this format pays for it

    failing = {"violation", "warning"} if strict else {"violation"}
    suites = {file: [_case(file, row, failing) for row in rows] for file, rows in files.items()}
    return document("tiopt validate", suites)


def _case(file: str, row: dict[str, Any], failing: set[str]) -> Case:
    """The case of a connection or flow."""
    from tioption.render.junit import Case  # noqa: PLC0415  as above

    wrong = [finding for finding in row["findings"] if finding["severity"] in failing]
    rest = [finding for finding in row["findings"] if finding not in wrong]
    return Case(
        f"{file}.{row['type']}",
        _flow_line(row) if row["type"] == "flow" else _connection_line(row),
        message=", ".join(dict.fromkeys(finding["rule"] for finding in wrong)),
        failure="\n".join(map(_finding_line, wrong)),
        output="\n".join(map(_finding_line, rest)),
    )
