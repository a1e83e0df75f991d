"""The Wireshark plugin's cost: tshark with it against tshark without it, on 100,000 packets of TI-flows, interleaved.

    python -m bench.dissector [--runs N] [--packets N]

Nearly all packets are data or acknowledgments of flows, the plugin's worst case; and the same as plain TCP, of which it
looks only at the first segments of each connection. Prints medians of processor time for each way to print a capture,
and the ratio turn by turn; beside it that of a post-dissector in Lua that does nothing, below which no plugin can get.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from struct import pack_into, unpack_from

from bench.measure import Command, interleaved, ratio
from tioption.build.capture_file import pcap
from tioption.build.conversation import MS, Conversation
from tioption.dissect import plugin
from tioption.layout import LENGTH
from tioption.option import DEFAULT_KINDS

FLOWS = 50
PAYLOAD = 1200
NOBODY = 65534
MASK = 0xFFFFFFFF
SEQ = 38  # where Ethernet, IPv4 and the ports have ended; checksums are not kept right, and not checked either

WAYS = {
    "tshark -r": [],
    "tshark -r -2": ["-2"],
    "tshark -r -T fields": ["-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "tcp.seq", "-e", "tcp.len"],
    "tshark -r -Y tcp.len>0": ["-Y", "tcp.len > 0"],
}


def flow(seed: int, packets: int) -> Iterator[tuple[int, bytes]]:
    """One flow: a transport, a resume half way, and data both ways, every third frame an acknowledgment."""
    talk = Conversation(seed)
    each, start = packets // 6, 0
    for open_one in (talk.connect, talk.resume):
        transport = open_one()
        transport.send("A", PAYLOAD, acked=False)
        transport.send("B", PAYLOAD)
        frames = list(talk.frames())
        yield from frames[start:]
        start = len(frames)
        yield from bulk(frames[-3], frames[-2], frames[-1], each)
        for stream in talk.streams.values():  # both hosts know what the bulk carried when they resume
            stream.octets += bytes(PAYLOAD * each)
            stream.received += PAYLOAD * each
        talk.wait(100_000 * MS)


def bulk(
    data_a: tuple[int, bytes], data_b: tuple[int, bytes], ack: tuple[int, bytes], times: int
) -> Iterator[tuple[int, bytes]]:
    """Copies of three frames, data of A, data of B and A's acknowledgment, that carry both streams on."""
    patterns = [bytearray(octets) for _, octets in (data_a, data_b, ack)]
    time_ns = ack[0]
    for _ in range(times):
        for octets in patterns:
            seq, acked = unpack_from("!II", octets, SEQ)
            pack_into("!II", octets, SEQ, (seq + PAYLOAD) & MASK, (acked + PAYLOAD) & MASK)
            time_ns += MS // 10
            yield time_ns, bytes(octets)


def capture(packets: int) -> bytes:
    """The capture: all flows at once, in order of time."""
    frames = [frame for seed in range(FLOWS) for frame in flow(seed, packets // FLOWS)]
    return pcap(sorted(frames, key=lambda frame: frame[0]))


def plain(packets: int) -> bytes:
    """The same without options: connections that the plugin soon leaves alone."""
    kinds = DEFAULT_KINDS.markers()
    frames = (frame for seed in range(FLOWS) for frame in flow(seed, packets // FLOWS))
    blank = [(time_ns, _blanked(octets, kinds)) for time_ns, octets in frames]
    return pcap(sorted(blank, key=lambda frame: frame[0]))


def _blanked(octets: bytes, markers: tuple[bytes, ...]) -> bytes:
    """A frame whose flow option is overwritten by NOPs."""
    end = SEQ + 8 + (octets[SEQ + 8] >> 4) * 4 - 12
    for marker in markers:
        at = octets.find(marker, SEQ + 16, end)
        if at >= 0:
            return octets[:at] + b"\x01" * LENGTH + octets[at + LENGTH :]
    return octets


EMPTY = """\
local nothing = Proto.new("nothing", "Nothing")
function nothing.dissector() end
register_postdissector(nothing)
"""


def commands(capture_file: Path, scripts: dict[str, Path], more: list[str]) -> dict[str, Command]:
    """Without a script and with each, as an ordinary user: every release loads scripts for one."""
    words = ["tshark", "-n", "-r", str(capture_file), *more]
    if os.geteuid() == 0:
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words]
    home = {"HOME": str(capture_file.parent)}
    loaded = {
        name: Command([*words, "-X", f"lua_script:{script}"], environment=home) for name, script in scripts.items()
    }
    return {"without": Command(words, environment=home), **loaded}


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="interleaved runs of every command (default: 7)")
    parser.add_argument("--packets", type=int, default=100_000, help="packets of each capture (default: 100,000)")
    words = parser.parse_args()
    if shutil.which("tshark") is None:
        sys.stderr.write("tshark is not installed\n")
        return 4
    with tempfile.TemporaryDirectory(prefix="tiopt-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        scripts = {"empty": home / "empty.lua", "plugin": home / "tiflow.lua"}
        for script, text in zip(scripts.values(), (EMPTY, plugin.render()), strict=True):
            script.write_text(text)
        print(
            f"\nThe Wireshark plugin, {words.packets:,} packets: tshark without, with an empty post-dissector, with it"
        )
        print(f"  {'capture':10} {'way':24} {'without':>8} {'empty':>16} {'plugin':>16}")
        for kind, octets in (("flows", capture(words.packets)), ("plain TCP", plain(words.packets))):
            path = home / "x.pcap"
            path.write_bytes(octets)
            for way, more in WAYS.items():
                usages = interleaved(commands(path, scripts, more), words.runs)
                without = usages["without"]
                row = f"  {kind:10} {way:24} {median(usage.cpu for usage in without):7.2f}s"
                for script_name in scripts:
                    taken = usages[script_name]
                    row += f" {median(usage.cpu for usage in taken):7.2f}s {ratio(without, taken):6.2f}x"
                print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
