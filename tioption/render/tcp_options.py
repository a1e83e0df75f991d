"""The options of a segment in tcpdump's words (print-tcp.c of tcpdump 4.99), with the flow option among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tioption.option import Fault, FlowOption, TcpOption

_EOL, _SACK, _MD5, _SCPS, _UTO, _AO, _MPTCP, _FAST_OPEN, _EXPERIMENT_2 = 0, 5, 19, 20, 28, 29, 30, 34, 254
_TFO_EXID: Final = 0xF989

_NAMES: Final = {
    _EOL: "eol",
    1: "nop",
    2: "mss",
    3: "wscale",
    4: "sackOK",
    _SACK: "sack",
    6: "echo",
    7: "echoreply",
    8: "TS",
    11: "cc",
    12: "ccnew",
    13: "",  # tcpdump 4.99 has no name for CC.ECHO
    _MD5: "md5",
    _SCPS: "scps",
    _UTO: "uto",
    _AO: "tcp-ao",
    _MPTCP: "mptcp",
    _FAST_OPEN: "tfo",
    _EXPERIMENT_2: "exp",
}
_MPTCP_SUBTYPES: Final = ("capable", "join", "dss", "add-addr", "rem-addr", "prio", "fail", "fast-close")


class OptionsText(NamedTuple):
    """The text between the brackets, and whether it is all there: tcpdump ends the line where it is not."""

    text: str
    complete: bool


def _numbers(*widths: int) -> Callable[[bytes], list[int]]:
    """A reader of consecutive big-endian integers of these widths in octets."""

    def read(body: bytes) -> list[int]:
        values, at = [], 0
        for width in widths:
            values.append(int.from_bytes(body[at : at + width], "big"))
            at += width
        return values

    return read


# kind: (octets after kind and length, text of them) for options whose size is fixed
_FIXED: Final[dict[int, tuple[int, Callable[[bytes], str]]]] = {
    2: (2, lambda body: " {}".format(*_numbers(2)(body))),
    3: (1, lambda body: f" {body[0]}"),
    4: (0, lambda _: ""),
    8: (8, lambda body: " val {} ecr {}".format(*_numbers(4, 4)(body))),
    _MD5: (16, lambda body: f" shared secret not supplied with -M, can't check - {body.hex()}"),
    _SCPS: (2, lambda body: f" cap {body[0]:02x} id {body[1]}"),
    _UTO: (2, lambda body: _user_timeout(int.from_bytes(body, "big"))),
    **{kind: (4, lambda body: " {}".format(*_numbers(4)(body))) for kind in (6, 7, 11, 12, 13)},
}


def _user_timeout(value: int) -> str:
    return f" 0x{value:x} {(value >> 1) * (60 if value & 1 else 1)}"


def _sack(body: bytes, base: int) -> str:
    if len(body) % 8:
        return " invalid sack"
    edges = [(int.from_bytes(body[at : at + 4], "big") - base) & 0xFFFFFFFF for at in range(0, len(body), 4)]
    blocks = "".join(f"{{{left}:{right}}}" for left, right in zip(edges[::2], edges[1::2], strict=True))
    return f" {len(body) // 8} {blocks}"


def _fast_open(body: bytes) -> str:
    if not body:
        return " cookiereq"
    return f" cookie {body.hex()}" if len(body) % 2 == 0 and 4 <= len(body) <= 16 else " (invalid)"


def _authentication(body: bytes) -> str:
    if len(body) < 2:
        return " (invalid)"
    mac = f" mac 0x{body[2:].hex()}" if len(body) > 2 else ""
    return f" keyid {body[0]} rnextkeyid {body[1]}{mac}"


def _mptcp(body: bytes) -> str:
    """Length and subtype; what Multipath TCP says beyond that is left to its own tools."""
    subtype = body[0] >> 4
    name = _MPTCP_SUBTYPES[subtype] if subtype < len(_MPTCP_SUBTYPES) else "unknown"
    return f" {len(body) + 2} {name}"


def _experiment_2(body: bytes) -> str:
    exid = int.from_bytes(body[:2], "big")
    return f"-tfo{_fast_open(body[2:])}" if exid == _TFO_EXID else f"-{exid:04x}"


# kind: (least octets after kind and length, text of them) for options whose size varies
_VARIABLE: Final[dict[int, tuple[int, Callable[[bytes], str]]]] = {
    _AO: (0, _authentication),
    _MPTCP: (1, _mptcp),
    _FAST_OPEN: (0, lambda body: f" {_fast_open(body)}"),
    _EXPERIMENT_2: (2, _experiment_2),
}


def _body_text(kind: int, body: bytes, sack_base: int) -> str | None:
    """What follows the option's name; None where tcpdump calls the option bad."""
    if kind in _FIXED:
        octets, text = _FIXED[kind]
        if len(body) < octets:
            return None
        wrong = f"[len {len(body) + 2}]" if len(body) > octets else ""
        return text(body[:octets]) + wrong
    if kind == _SACK:
        return _sack(body, sack_base)
    if kind in _VARIABLE:
        least, text = _VARIABLE[kind]
        return text(body) if len(body) >= least else None
    return f" 0x{body.hex()}" if body else ""


def flow_option_text(flow: FlowOption, label: str = "tifid") -> str:
    """The flow option as every text format writes it; `label` names the TIFID, `tificid` in the paper's traces."""
    return f"{flow.variant.value} {label} {flow.tifid} tiseq {flow.tiseq:012x} tiack {flow.tiack:012x}"


def options_text(options: Iterable[TcpOption], sack_base: int, label: str = "tifid") -> OptionsText:
    """The options between tcpdump's brackets; SACK edges are printed relative to `sack_base`."""
    parts: list[str] = []
    for kind, _, octets, fault, flow, _ in options:
        if fault is Fault.AFTER_EOL:
            continue
        name = _NAMES.get(kind, f"unknown-{kind}") if kind is not None else ""
        if fault is Fault.CUT:
            shown, end = (name, ">" if parts else "") if len(octets) > 1 else ("", "")
            if shown and kind not in _NAMES:
                shown += f" 0x{octets[2:].hex()}"
            return OptionsText(",".join([*parts, f"{shown} [|tcp]"]) + end, complete=False)
        text = None
        if flow is not None:
            name, text = "", flow_option_text(flow, label)
        elif fault is None:
            text = _body_text(kind or 0, octets[2:], sack_base) if kind and kind > 1 else ""
        else:
            name = ""
        if text is None:
            end = "]" if parts else ""
            return OptionsText(",".join([*parts, f"{name}[bad opt]"]) + end, complete=False)
        parts.append(name + text)
    return OptionsText(",".join(parts), complete=True)
