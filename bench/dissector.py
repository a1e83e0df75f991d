"""The Wireshark plugin's cost: tshark with it against tshark without it, on 100,000 packets of TI-flows, interleaved.

    python -m bench.dissector [--runs N] [--packets N]

Nearly all packets are data or acknowledgments of flows, the plugin's worst case: in any other connection it looks only
at the first segments. Prints the median wall time of each way to print a capture, and the ratio run by run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from struct import pack_into, unpack_from

from tioption.build.capture_file import pcap
from tioption.build.conversation import MS, Conversation
from tioption.dissect import plugin

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


def seconds(command: list[str], home: Path) -> float:
    """Wall time of one run as an ordinary user, who alone gets scripts loaded in every release."""
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    start = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )
    assert done.stderr == b"", done.stderr.decode()
    return time.perf_counter() - start


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="interleaved runs of every command (default: 7)")
    parser.add_argument("--packets", type=int, default=100_000, help="packets of the capture (default: 100,000)")
    words = parser.parse_args()
    if shutil.which("tshark") is None:
        sys.stderr.write("tshark is not installed\n")
        return 4
    with tempfile.TemporaryDirectory(prefix="tiopt-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "x.pcap").write_bytes(capture(words.packets))
        (home / "tiflow.lua").write_text(plugin.render())
        print(f"{'command':24} {'without ms':>11} {'with ms':>9} {'ratio':>6}")
        for way, more in WAYS.items():
            command = ["tshark", "-n", "-r", str(home / "x.pcap"), *more]
            loaded = [*command, "-X", f"lua_script:{home / 'tiflow.lua'}"]
            pairs = [(seconds(command, home), seconds(loaded, home)) for _ in range(words.runs + 1)][1:]
            without, with_plugin = (median(one) * 1000 for one in zip(*pairs, strict=True))
            ratio = median(after / before for before, after in pairs)
            print(f"{way:24} {without:11.0f} {with_plugin:9.0f} {ratio:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
