"""Wireshark's decode with our plugin against our own, segment by segment and field by field.

tshark reads the capture through the plugin and hands over what carries a flow option or breaks a rule; pyshark makes
objects of that; each is held against the segment of the same frame as our reader, codec and validator see it. This is
the only module that imports pyshark, and it takes no more of it than the parser: pyshark's captures need an asyncio
loop of their own, which is not to be had where one is running, as in a notebook, nor after `asyncio.run`.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections import deque
from collections.abc import Coroutine, Generator, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from packaging.version import parse
from pyshark.tshark.output_parser.tshark_json import TsharkJsonParser

from tioption.capture import Capture, Segment
from tioption.dissect.tshark import Bench, WiresharkError, lua_complaint
from tioption.errors import CaptureError
from tioption.option import FlowOption, Kinds
from tioption.render.values import address_text, flags_text
from tioption.verdict.validator import Validator

_LAYERS: Final = "frame wlan_aggregate ip ipv6 tcp tiflow"
"""The layers tshark prints; the others cost more than these."""

_SUBFRAMES: Final = ("wlan_aggregate.a_msdu.subframe", "wlan_aggregate.a_mdsu.subframe")
"""What is in an 802.11 aggregate; releases before 4.2 misspell it."""

_FLAG_BITS: Final = 0x1FF
_NONE: Final = "none"
_CONCERNED: Final = "tiflow.tifid || tiflow.rule || _ws.lua.error"
"""The display filter for frames with a flow option, others that break a rule, and those at which a plugin failed."""

_FAILURE: Final = "Lua Error: "


class Difference(NamedTuple):
    """A field in which the two disagree; a side that has no such segment or option at all says `none`."""

    file: str
    frame: int
    field: str
    ours: str
    wireshark: str


@dataclass(slots=True)
class Tally:
    """What was compared so far: segments with a flow option or a finding, and values of them."""

    segments: int = 0
    values: int = 0


class _View(NamedTuple):
    """A segment as one side sees it: header values, those of each flow option in order, and the rules it breaks."""

    frame: int
    header: dict[str, str]
    options: list[dict[str, str]]
    rules: set[str]


def differences(file: str, bench: Bench, kinds: Kinds, tally: Tally) -> Iterator[Difference]:
    """Where Wireshark and we disagree about a capture, in the order of frames; `tally` counts along.

    Raises CaptureError after all that both could read where one of them could not read the capture to its end, and
    WiresharkError where tshark does not take the plugin.
    """
    ours, theirs = _Side(_our_segments(file, kinds)), _Side(_wireshark_segments(file, bench))
    try:
        while (mine := ours.head) is not None or theirs.head is not None:
            other = theirs.head
            if mine is not None and other is not None and mine.frame == other.frame:
                ours.advance()
                theirs.advance()
                yield from _compared(file, mine, other, tally)
            elif other is None or (mine is not None and mine.frame < other.frame):
                assert mine is not None
                ours.advance()
                # Where the other side has stopped early there is nothing to hold this against.
                if other is not None or theirs.damage is None:
                    yield Difference(file, mine.frame, "option", _named(mine), _NONE)
            else:
                theirs.advance()
                if mine is not None or ours.damage is None:
                    yield Difference(file, other.frame, "option", _NONE, _named(other))
    finally:
        ours.close()
        theirs.close()
    damage = ours.damage or theirs.damage
    if damage is not None:
        raise damage


class _Side:
    """The segments of one side with the next one in `head`; None at the end, where `damage` may say why."""

    def __init__(self, views: Generator[_View, None, None]) -> None:
        self._views = views
        self.damage: CaptureError | None = None
        self.head: _View | None = None
        self.advance()

    def advance(self) -> None:
        """Take the next segment into `head`."""
        try:
            self.head = next(self._views, None)
        except CaptureError as error:
            self.head = None
            self.damage = error

    def close(self) -> None:
        """End what the segments come from, wherever it is."""
        self._views.close()


def _compared(file: str, mine: _View, other: _View, tally: Tally) -> Iterator[Difference]:
    tally.segments += 1
    # Wireshark reads no further in a header whose data offset is below 5.
    pairs = [(name, mine.header[name], value) for name, value in other.header.items() if value != _NONE]
    for index in range(max(len(mine.options), len(other.options))):
        # Several in one segment break OPT-04 or OPT-05; each is compared all the same.
        place = f"[{index}]" if index else ""
        if index >= min(len(mine.options), len(other.options)):
            shown = [_named(view, index) if index < len(view.options) else _NONE for view in (mine, other)]
            pairs.append((f"option{place}", shown[0], shown[1]))
            continue
        left, right = mine.options[index], other.options[index]
        pairs += [(f"{name}{place}", left[name], right[name]) for name in left]
    pairs.append(("rules", _listed(mine.rules), _listed(other.rules)))
    tally.values += len(pairs)
    for name, left_value, right_value in pairs:
        if left_value != right_value:
            yield Difference(file, mine.frame, name, left_value, right_value)


def _listed(rules: set[str]) -> str:
    return ", ".join(sorted(rules)) or _NONE


def _named(view: _View, index: int = 0) -> str:
    if not view.options:
        return f"rules {_listed(view.rules)}"
    option = view.options[index]
    return f"{option['variant']} tifid {option['tifid']}"


def _our_segments(file: str, kinds: Kinds) -> Generator[_View, None, None]:
    validator = Validator(kinds)
    with Capture(file) as capture:
        for segment in capture.segments():
            if isinstance(segment, Segment):
                found = validator.observe(segment)
                deque(validator.due(), maxlen=0)  # forgets what it would report of connections that fell silent
                rules = {f"{finding.rule} {finding.severity.value}" for finding in found}
                flows = [option.flow for option in segment.walk_options(kinds) if option.flow is not None]
                if flows or rules:
                    yield _our_view(segment, flows, rules)


def _our_view(segment: Segment, flows: list[FlowOption], rules: set[str]) -> _View:
    header = {
        "src": address_text(segment.src),
        "sport": str(segment.sport),
        "dst": address_text(segment.dst),
        "dport": str(segment.dport),
        "seq": str(segment.seq),
        "ack": str(segment.ack),
        "flags": flags_text(segment.flags),
    }
    options = [
        {
            "variant": flow.variant.value,
            "tifid": str(flow.tifid),
            "tifid.first": f"{flow.tifid.first:06x}",
            "tifid.second": f"{flow.tifid.second:06x}",
            "tiseq": f"{flow.tiseq:012x}",
            "tiack": f"{flow.tiack:012x}",
        }
        for flow in flows
    ]
    return _View(segment.frame, header, options, rules)


def _wireshark_segments(file: str, bench: Bench) -> Generator[_View, None, None]:
    for packet in packets(file, bench, _CONCERNED):
        yield from _wireshark_views(packet)


def _wireshark_views(packet: Any) -> Iterator[_View]:
    """The segments of a frame with a flow option or a finding; an aggregate has several, and is judged by the last."""
    layers: dict[str, list[Any]] = {}
    for layer in packet.layers:
        layers[layer.layer_name] = [layer, *getattr(layer, "duplicate_layers", [])]
    segments = list(_segments(packet, layers))
    rules = {rule for block in layers.get("tiflow", []) for rule in _judged(block)}
    rules |= {name for name in layers if name.startswith(_FAILURE)}  # tshark makes a layer of the message
    for index, (network, tcp) in enumerate(segments, 1):
        view = _wireshark_view(packet, network, tcp, rules if index == len(segments) else set())
        if view.options or view.rules:
            yield view


def _judged(block: Any) -> Iterator[str]:
    """The findings of an analysis block, each rule with the severity that stands beside it."""
    rules, severities = (list(_values(block, f"tiflow.{name}")) for name in ("rule", "severity"))
    yield from map(" ".join, zip_longest(rules, severities, fillvalue=_NONE))


def _segments(packet: Any, layers: dict[str, list[Any]]) -> Iterator[tuple[Any, Any]]:
    """The layers of IP and TCP of each segment of a frame, in their order."""
    for aggregate in layers.get("wlan_aggregate", []):
        for subframe in (one for name in _SUBFRAMES for one in _fields(aggregate, name)):
            networks = [*_fields(subframe, "ip"), *_fields(subframe, "ipv6")]
            yield from zip(networks, _fields(subframe, "tcp"), strict=False)
    seen: dict[str, int] = {}
    network = None
    for protocol in _value(packet.frame_info, "frame.protocols").split(":"):
        index = seen.get(protocol, 0)
        seen[protocol] = index + 1
        if protocol in ("icmp", "icmpv6"):
            return  # what follows is a quotation of a packet, not a packet
        if index >= len(layers.get(protocol, [])):
            continue
        if protocol in ("ip", "ipv6"):
            network = layers[protocol][index]
        elif protocol == "tcp" and network is not None:
            yield network, layers[protocol][index]


def _wireshark_view(packet: Any, network: Any, tcp: Any, rules: set[str]) -> _View:
    addresses = {side: _value(network, f"{network.layer_name}.{side}") for side in ("src", "dst")}
    header = {
        "src": _address(addresses["src"]),
        "sport": _value(tcp, "tcp.srcport"),
        "dst": _address(addresses["dst"]),
        "dport": _value(tcp, "tcp.dstport"),
        "seq": _value(tcp, "tcp.seq_raw"),
        "ack": _value(tcp, "tcp.ack_raw"),
        "flags": _flags(_value(tcp, "tcp.flags")),
    }
    # Options of other experiments on these kinds have a tree as well, without a variant.
    flows = [tree for tree in _trees(tcp, "tiflow") if _fields(tree, "tiflow.variant")]
    options = [
        {"variant": _value(flow, "tiflow.variant")}
        | {name: _hex(_value(flow, f"tiflow.{name}"), digits) for name, digits in _HEX_DIGITS.items()}
        for flow in flows
    ]
    return _View(int(packet.number), header, options, rules)


_HEX_DIGITS: Final = {"tifid": 12, "tifid.first": 6, "tifid.second": 6, "tiseq": 12, "tiack": 12}


def _hex(value: str, digits: int) -> str:
    """A number as tshark prints it, in our print; what is no number stays as it is."""
    try:
        return f"{int(value, 0):0{digits}x}"
    except ValueError:
        return value


def _flags(value: str) -> str:
    return flags_text(int(value, 0) & _FLAG_BITS) if value != _NONE else value


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _value(layer: Any, name: str) -> str:
    """The first value of a field in the tree of a layer; `none` where it has no such field."""
    return next(_values(layer, name), _NONE)


def _values(layer: Any, name: str) -> Iterator[str]:
    """Every value of a field in the tree of a layer."""
    for field in _fields(layer, name):
        yield str(field)
    for tree in _subtrees(layer):
        yield from _values(tree, name)


def _trees(layer: Any, name: str) -> Iterator[Any]:
    """Every tree of that name below a layer, in its order."""
    yield from _fields(layer, name)
    for tree in _subtrees(layer):
        yield from _trees(tree, name)


def _subtrees(layer: Any) -> Iterator[Any]:
    for name in layer.field_names:
        if name.endswith(("_tree", "_ws.expert")):
            yield from _fields(layer, name)


def _fields(layer: Any, name: str) -> list[Any]:
    """What a layer holds under a name: nothing, one, or several in their order."""
    try:
        field = layer.get_field(name)
    except AttributeError:
        return []
    return field if isinstance(field, list) else [field]


def packets(file: str, bench: Bench, display_filter: str) -> Iterator[Any]:
    """The frames of a capture that pass a display filter, as pyshark's packets, decoded with the plugin of `bench`.

    Raises CaptureError where the capture cannot be opened or tshark stops before its end, and WiresharkError where
    the plugin does not load.
    """
    # Defragmented, the TCP header would move to the frame of the last fragment.
    settings = [f"-o{name}.defragment:FALSE" for name in ("ip", "ipv6")]
    words = ["-T", "json", "--no-duplicate-keys", "-J", _LAYERS, "-Y", display_filter, *settings]
    parser = TsharkJsonParser(parse(bench.tshark.version))
    with _opened(file) as capture, tempfile.TemporaryFile() as complaints:
        process = bench.start(words, capture, complaints)
        assert process.stdout is not None
        try:
            yield from _parsed(parser, process.stdout)
            process.wait()
        finally:
            process.kill()  # in case the caller has seen enough; of no effect on a process that has ended
            process.stdout.close()
            process.wait()
        _raise_complaints(process.returncode, complaints, file, bench)


def _opened(file: str) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError("a capture file", reason, file=file, frame=None, offset=None) from None


def _raise_complaints(status: int, complaints: IO[bytes], file: str, bench: Bench) -> None:
    complaints.seek(0)
    said = complaints.read().decode(errors="replace").strip()
    why = lua_complaint(said).replace(f"{bench.plugin.parent}/", "")
    if why:
        raise WiresharkError(f"the plugin does not load in tshark {bench.tshark.version}: {why}")
    if status:
        why = said.splitlines()[-1] if said else f"exit status {status}"
        raise CaptureError(
            "a capture tshark reads to its end", f"from tshark: {why}", file=file, frame=None, offset=None
        )


class _Stream:
    """A pipe as pyshark's parser wants it: reading is a coroutine, here one that never waits for a loop."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    async def read(self, size: int) -> bytes:
        """Up to `size` octets; none at the end."""
        return self._pipe.read(size)


def _parsed(parser: Any, pipe: IO[bytes]) -> Iterator[Any]:
    stream, rest, count = _Stream(pipe), b"", 0
    while True:
        try:
            packet, rest = _finish(parser.get_packets_from_stream(stream, rest, got_first_packet=count > 0))
        except EOFError:
            return
        if packet is not None:
            count += 1
            yield packet


def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that awaits nothing which would need an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("pyshark's parser waits for more than its input")
