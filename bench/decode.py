"""`tiopt decode --format text` against everything else that finds the option, whole processes with their start-up.

    python -m bench.decode [--runs N] [--packets N] [--large]

Two captures (see bench/captures.py): mixed, where almost nothing is an option, and dense, where everything is. Slow
peers get a smaller slice of the same traffic and are compared per packet. With --large the captures are five times as
large, and memory must be the same.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from bench.measure import Command, Usage, floor_mib, interleaved, print_table, ratio, shell, tiopt

ROOT = Path(__file__).resolve().parents[1]
OURS = "tiopt decode"
PLUGIN = ROOT / "dissectors" / "wireshark" / "tiflow.lua"

# A filter cannot walk options; what it can say is that a flow option needs a TCP header of at least 40 octets. tcp[12]
# does not look into IPv6, and behind a tag every offset is another: to find them all it must be said four times.
_TCP4, _TCP6 = "tcp[12] >= 0xa0", "(ip6[6] == 6 and ip6[52] >= 0xa0)"
FILTER = f"{_TCP4} or {_TCP6} or (vlan and ({_TCP4} or {_TCP6}))"
TSHARK_FILTER = "tcp.option_kind == 253 || tcp.option_kind == 254"

_FOR_PROGRAMS = ("json", "csv", "parquet", "arrow")


def capture(name: str, packets: int) -> str:
    """The path of a capture, made in another process as numpy is large."""
    command = [sys.executable, "-m", "bench.captures", name, "--packets", str(packets)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


def limit() -> str | None:
    """The C walker alone, compiled."""
    program = ROOT / "build" / "bench" / "limit"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    subprocess.run([compiler, "-O2", "-o", program, ROOT / "bench" / "limit.c"], check=True)
    return str(program)


def have(commands: dict[str, Command]) -> dict[str, Command]:
    """Those whose program is installed."""
    return {name: command for name, command in commands.items() if shutil.which(command.words[0])}


def lines(words: list[str]) -> int:
    """Lines a command prints."""
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.count(b"\n")


def measure(title: str, commands: dict[str, Command], runs: int) -> dict[str, list[Usage]]:
    """Measure and print."""
    usages = interleaved(commands, runs)
    print_table(title, usages, {name: command.packets for name, command in commands.items()}, OURS)
    return usages


def mixed(packets: int, runs: int) -> None:
    """Almost nothing is an option."""
    path, small, tiny = capture("mixed.pcap", packets), capture("mixed.pcap", 200_000), capture("mixed.pcap", 20_000)
    ours = [*tiopt(), "decode", "--format", "text"]
    program = limit()
    commands = {
        OURS: Command([*ours, path], packets),
        "tiopt decode, pcapng": Command([*ours, capture("mixed.pcapng", packets)], packets),
        "tiopt decode --all": Command([*ours, "--all", path], packets),
        "tcpdump, filter that misses none": Command(["tcpdump", "-nr", path, FILTER], packets),
        "tcpdump, printing all (200 k packets)": Command(["tcpdump", "-nr", small], 200_000),
        "cat": Command(["cat", path], packets),
    }
    if program:
        commands["C walker alone, printing nothing"] = Command(shell(f"{program} < {path}"), packets)
    commands = have(commands)
    if "tcpdump, filter that misses none" in commands:
        print(f"lines: tiopt {lines([*ours, path])}, tcpdump {lines(['tcpdump', '-nr', path, FILTER])}")
    usages = measure(f"mixed, {packets:,} packets", commands, runs)
    print(f"  a run that does nothing takes {median_startup():.3f} s of processor time")
    for name in ("tcpdump, filter that misses none", "cat"):
        if name in usages:
            print(f"  {name}: {ratio(usages[OURS], usages[name]):.2f} times ours")
    peer = [sys.executable, "-m", "bench.peers"]
    slow = {
        OURS: Command([*ours, path], packets),
        "tiopt decode, without C (200 k packets)": Command([*ours, small], 200_000, {"TIOPT_PURE": "1"}),
        "Scapy's RawPcapReader and a loop (200 k)": Command([*peer, "scapy-raw", small], 200_000),
        "dpkt (20 k packets)": Command([*peer, "dpkt", tiny], 20_000),
        "Scapy (20 k packets)": Command([*peer, "scapy", tiny], 20_000),
        "pyshark, filtered (20 k packets)": Command([*peer, "pyshark", tiny], 20_000),
        "tshark -Y, one field (20 k packets)": Command(
            ["tshark", "-nr", tiny, "-Y", TSHARK_FILTER, "-Tfields", "-eframe.number"], 20_000
        ),
        "tshark with our plugin, -Y, one field (20 k)": Command(
            ["tshark", "-nr", tiny, f"-Xlua_script:{PLUGIN}", "-Y", "tiflow.tifid", "-Tfields", "-etiflow.tifid"],
            20_000,
        ),
    }
    measure("mixed, slower ones on slices, start-up included", have(slow), max(1, runs // 3))


def median_startup() -> float:
    """Processor time of a `tiopt decode` of three packets."""
    command = Command([*tiopt(), "decode", str(ROOT / "pcaps/trace2/trace2.pcap")], 3)
    return sorted(usage.cpu for usage in interleaved({"": command}, 5)[""])[2]


def dense(packets: int, runs: int) -> None:
    """Everything is an option."""
    path, small = capture("dense.pcap", packets), capture("dense.pcap", 20_000)
    ours = [*tiopt(), "decode", "--format", "text"]
    commands = {
        OURS: Command([*ours, path], packets),
        "tcpdump printing the same lines": Command(["tcpdump", "-nr", path], packets),
        **{f"tiopt decode --format {name}": Command([*ours[:-1], name, path], packets) for name in _FOR_PROGRAMS},
        "tiopt's JSON, without C (20 k packets)": Command([*ours[:-1], "json", small], 20_000, {"TIOPT_PURE": "1"}),
        "cat": Command(["cat", path], packets),
    }
    usages = measure(f"dense, {packets:,} packets", have(commands), runs)
    for name in list(usages)[1:]:
        print(f"  {name}: {ratio(usages[OURS], usages[name]):.2f} times ours")


def compressed(packets: int, runs: int) -> None:
    """As fast as what is compressed can be decompressed."""
    ours = [*tiopt(), "decode", "--format", "text"]
    for suffix, words in (("gz", ["gzip", "-dc"]), ("zst", ["zstd", "-qdc"])):
        path = capture(f"mixed.pcap.{suffix}", packets)
        alone = "its module alone"
        commands = {
            OURS: Command([*ours, path], packets),
            " ".join(words): Command([*words, path], packets),
            alone: Command([sys.executable, "-m", "bench.decompress", path], packets),
        }
        usages = measure(f"mixed.pcap.{suffix}, {packets:,} packets", have(commands), runs)
        print(f"  ours takes {1 / ratio(usages[OURS], usages[alone]):.2f} times what the decompressor takes alone")


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="interleaved runs of every command (default: 9)")
    parser.add_argument("--packets", type=int, default=2_000_000, help="packets of mixed (default: 2,000,000)")
    parser.add_argument("--large", action="store_true", help="captures five times as large")
    arguments = parser.parse_args()
    packets = arguments.packets * (5 if arguments.large else 1)
    mixed(packets, arguments.runs)
    dense(packets // 4, max(1, arguments.runs // 2))
    compressed(packets, max(1, arguments.runs // 2))
    print(f"\nMemory below {floor_mib():.0f} MiB cannot be seen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
