"""Live decoding: what passes a real interface is found, as tcpdump's capture of the same traffic shows it."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from struct import pack
from typing import IO, Any

import pytest

from tests.capture.bpf import run as interpreted
from tests.capture.wraps import WRAPS
from tests.conftest import ROOT, Outcome, needs, needs_root
from tests.live.namespaces import PATIENCE, Host, Link, ip, link, tcpdump, wait_for
from tioption.build.catalogue import SCENARIOS
from tioption.build.conversation import Conversation
from tioption.capture import Segment
from tioption.capture.interface import ANY, Interface
from tioption.capture.packet_filter import flow_option_filter
from tioption.errors import CaptureError
from tioption.option import DEFAULT_KINDS, FlowOption

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Link]:
    needs_root()
    needs("tcpdump")
    with link() as made:
        for host in made:
            ip("-n", host.name, "link", "set", "lo", "up")
            ip("-n", host.name, "link", "set", "cable", "mtu", "9000")  # some scenarios have long segments
        yield made


def frames_of(talk: Conversation) -> list[bytes]:
    return [frame for _, frame in talk.frames()]


def handshake(seed: int = 1, **settings: Any) -> list[bytes]:
    """Three frames with a flow option, then data and its acknowledgment without one."""
    talk = Conversation(seed, **settings)
    talk.connect().send("A", 500)
    return frames_of(talk)


END = frames_of(Conversation(99, b="192.0.2.99").connect().conversation)[0]
"""A SYN with a flow option, to a host of its own: it ends what a test listens for."""


def is_end(segment: Segment) -> bool:
    return segment.dst == bytes((192, 0, 2, 99))


def send(host: Host, device: str, frames: list[bytes]) -> None:
    """Send frames from a device as they are."""

    def sending() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
            sender.bind((device, 0))
            for frame in frames:
                sender.send(frame)

    host.inside(sending)


@contextmanager
def listening(host: Host, name: str, *, every: bool = False) -> Iterator[Interface]:
    """An interface of a host under capture; waiting for it longer than patience lasts is a failure."""

    def patiently() -> None:
        assert select.select([interface], [], [], PATIENCE)[0], f"nothing came in {PATIENCE} s"

    interface = host.inside(lambda: Interface(name, every=every, on_wait=patiently))
    with interface:
        yield interface


def until_end(interface: Interface) -> list[Segment]:
    """The segments that come before END."""
    found: list[Segment] = []
    for segment in interface.segments(DEFAULT_KINDS):
        assert isinstance(segment, Segment)
        if is_end(segment):
            return found
        found.append(segment)
    raise AssertionError("an interface has no end")


def options(segments: list[Segment]) -> list[FlowOption]:
    return [option.flow for segment in segments for option in segment.walk_options() if option.flow is not None]


def at_least(count: int, seen: list[Segment]) -> bool:
    return len(seen) >= count


def sent_options(frames: list[bytes]) -> list[FlowOption]:
    """The flow options of frames that end in one, as those of `handshake` do."""
    return [FlowOption.parse(frame[-20:]) for frame in frames]


@pytest.mark.parametrize(("a", "b"), [("192.0.2.1", "198.51.100.2"), ("fd77::1", "fd77::2")], ids=["IPv4", "IPv6"])
def test_a_handshake_on_a_cable(hosts: Link, a: str, b: str) -> None:
    frames = handshake(a=a, b=b)
    before = time.time_ns()
    with listening(hosts.server, "cable") as interface:
        send(hosts.client, "cable", [*frames, END])
        found = until_end(interface)
        assert interface.statistics() == (4, 0)  # data and acknowledgment never came here
        assert interface.statistics() == (4, 0)
    assert options(found) == sent_options(frames[:3])
    assert [segment.frame for segment in found] == [1, 2, 3]
    times = [segment.time_ns or 0 for segment in found]
    assert before < times[0] < times[1] < times[2] < time.time_ns()
    assert any(time_ns % 1000 for time_ns in times)


def test_both_ends_and_all_interfaces_hear_it(hosts: Link) -> None:
    frames = handshake(2)
    with listening(hosts.client, "cable") as own, listening(hosts.client, ANY) as all_of_them:
        send(hosts.client, "cable", [*frames, END])
        for interface in (own, all_of_them):
            assert options(until_end(interface)) == sent_options(frames[:3])


def test_with_every_segment_the_data_comes_too(hosts: Link) -> None:
    frames = handshake(3)
    with listening(hosts.server, "cable", every=True) as interface:
        send(hosts.client, "cable", frames)
        found = list(islice(interface.segments(), len(frames)))
        assert interface.statistics() == (5, 0)
    assert [getattr(segment, "payload_length", None) for segment in found] == [0, 0, 0, 500, 0]


def test_the_loopback_is_heard_once(hosts: Link) -> None:
    frames = handshake(4)
    with listening(hosts.client, "lo") as alone, listening(hosts.client, ANY) as all_of_them:
        send(hosts.client, "lo", [*frames, END])
        for interface in (alone, all_of_them):
            assert options(until_end(interface)) == sent_options(frames[:3])
            assert interface.statistics().passed == 4


def tagged(frame: bytes, *tags: int) -> bytes:
    return frame[:12] + b"".join(pack("!I", tag) for tag in tags) + frame[12:]


@pytest.mark.parametrize("tags", [(0x81000005,), (0x88A80064, 0x81000005), (0x88A80064, 0x81000005, 0x81000006)])
def test_vlan_tags_in_the_frame(hosts: Link, tags: tuple[int, ...]) -> None:
    frames = handshake(5)
    with listening(hosts.server, "cable") as interface, listening(hosts.server, ANY) as all_of_them:
        send(hosts.client, "cable", [*(tagged(frame, *tags) for frame in frames), END])
        for one in (interface, all_of_them):
            assert options(until_end(one)) == sent_options(frames[:3])


def test_a_vlan_device_and_the_cable_below_it(hosts: Link) -> None:
    add = ("link", "add", "link", "cable", "name", "cable.5", "type", "vlan", "id", "5")
    for host in hosts:
        made = subprocess.run([needs("ip"), "-n", host.name, *add], capture_output=True, text=True, check=False)
        if "Unknown device type" in made.stderr:
            pytest.skip("this kernel has no VLAN devices")
        assert made.returncode == 0, made.stderr
        ip("-n", host.name, "link", "set", "cable.5", "up")
    try:
        frames = handshake(6)
        with listening(hosts.server, "cable.5") as above, listening(hosts.server, "cable") as below:
            send(hosts.client, "cable.5", [*frames, END])
            for interface in (above, below):
                assert options(until_end(interface)) == sent_options(frames[:3])
    finally:
        for host in hosts:
            ip("-n", host.name, "link", "delete", "cable.5")


@contextmanager
def tun(host: Host) -> Iterator[IO[bytes]]:
    """A device of layer 3, `tun0`; what is written to it arrives there."""

    def opened() -> IO[bytes]:
        made = Path("/dev/net/tun").open("r+b", buffering=0)  # noqa: SIM115
        fcntl.ioctl(made, 0x400454CA, pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        return made

    if not Path("/dev/net/tun").exists():
        pytest.skip("this kernel has no /dev/net/tun")
    with host.inside(opened) as device:
        ip("-n", host.name, "link", "set", "tun0", "up")
        yield device


@pytest.mark.parametrize(("a", "b"), [("192.0.2.1", "198.51.100.2"), ("fd77::1", "fd77::2")], ids=["IPv4", "IPv6"])
def test_a_device_without_ethernet(hosts: Link, a: str, b: str) -> None:
    frames = handshake(7, a=a, b=b)
    with tun(hosts.server) as device, listening(hosts.server, "tun0") as own, listening(hosts.server, ANY) as every:
        for frame in [*frames, END]:
            device.write(frame[14:])
        for interface in (own, every):
            assert options(until_end(interface)) == sent_options(frames[:3])
        assert own.statistics().passed == 4


def test_the_kernel_runs_the_filter_as_the_interpreter_does(hosts: Link) -> None:
    frames = [frame for scenario in SCENARIOS.values() for frame in frames_of(scenario.conversation())]
    frames += [wrap.frame for wrap in WRAPS.values() if wrap.link_type == 1]
    # The kernel takes the outer VLAN tag off before anybody sees the frame.
    untagged = [frame[:12] + frame[16:] if frame[12:14] in {b"\x81\0", b"\x88\xa8"} else frame for frame in frames]
    program = flow_option_filter()
    expected = [frame for frame in untagged if interpreted(program, frame)]
    assert len(expected) > 400
    found: list[bytes] = []
    with listening(hosts.server, "cable") as interface:
        send(hosts.client, "cable", [*frames, END])
        for record in interface.records():
            if record.data == END:
                break
            found.append(record.data)
            assert record.length == len(record.data)
        assert interface.statistics().dropped == 0
    assert found == expected


def test_a_frame_longer_than_what_is_kept_has_its_length(hosts: Link) -> None:
    talk = Conversation(8)
    talk.connect(ack=lambda option: option).send("A", 1400)
    with listening(hosts.server, "cable", every=True) as interface:
        send(hosts.client, "cable", frames_of(talk))
        (record,) = [record for record in islice(interface.records(), 4) if record.length > 1400]
    assert (len(record.data), record.length) == (1024, len(frames_of(talk)[3]))


def test_an_interface_that_goes_down_ends_the_capture_after_what_it_heard(hosts: Link) -> None:
    frames = handshake(9)[:3]
    with listening(hosts.server, "cable") as interface:
        send(hosts.client, "cable", frames)
        ip("-n", hosts.server.name, "link", "set", "cable", "down")
        try:
            found = interface.segments(DEFAULT_KINDS)
            assert len(list(islice(found, 3))) == 3
            with pytest.raises(CaptureError, match="cable: expected frames of the interface, found that it is down"):
                next(found)
            with listening(hosts.server, "cable") as late, pytest.raises(CaptureError):
                next(late.segments())
        finally:
            ip("-n", hosts.server.name, "link", "set", "cable", "up")
            ip("-n", hosts.server.name, "address", "replace", f"{hosts.server.ipv6}/64", "dev", "cable", "nodad")


# The command.


class Live:
    """`tiopt decode -i` as a process of its own in a host's namespace."""

    def __init__(self, process: subprocess.Popen[str], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait(self, lines: int) -> list[str]:
        """The first lines, as soon as they are written."""
        wait_for(f"{lines} lines", lambda: self.out.count("\n") >= lines)
        return self.out.splitlines()

    def end(self, by: signal.Signals | None = signal.SIGINT) -> Outcome:
        """End it, and what it did."""
        if by is not None:
            self.process.send_signal(by)
        return Outcome(self.process.wait(PATIENCE), self.out, self.err)


@pytest.fixture
def live(hosts: Link, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Starts the command at the server; it listens when this returns, and has ended with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: object, ready: str = "listening on") -> Live:
        out, err = tmp_path / f"out{len(processes)}", tmp_path / f"err{len(processes)}"
        # exec without a shell between: signals go to tiopt itself.
        command = [needs("ip"), "netns", "exec", hosts.server.name, sys.executable, "-m", "tioption.cli", "decode"]
        with out.open("w") as to, err.open("w") as complaints:
            process = subprocess.Popen(
                [*command, *map(str, words)], stdout=to, stderr=complaints, text=True, cwd=ROOT, env={**os.environ}
            )
        processes.append(process)
        made = Live(process, out, err)
        wait_for(ready, lambda: ready in made.err or process.poll() is not None)
        return made

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_live_lines_are_those_of_tcpdump_s_capture(
    hosts: Link, live: Callable[..., Live], tiopt: Run, tmp_path: Path
) -> None:
    frames = [frame for scenario in SCENARIOS.values() for frame in frames_of(scenario.conversation())]
    with tcpdump(hosts.server, tmp_path / "peer.pcap") as dump:
        command = live("-i", "cable", "--format", "json")
        for at in range(0, len(frames), 25):  # tcpdump has room for 32 at a time
            send(hosts.client, "cable", frames[at : at + 25])
            dump.wait("all frames", partial(at_least, min(at + 25, len(frames))))
        theirs = [json.loads(line) for line in tiopt("decode", "--format", "json", dump.path).out.splitlines()]
        mine = [json.loads(line) for line in command.wait(len(theirs))]
        status, _, err = command.end()
    assert status == 0
    assert f"{len(theirs)} flow options found, 0 frames dropped by the kernel" in err
    assert len(theirs) > 300
    for row, other in zip(mine, theirs, strict=True):
        assert row["file"] == "cable"
        assert row["time"][:17] == other["time"][:17]  # tcpdump's file has microseconds
        assert {**row, "file": 0, "frame": 0, "time": 0} == {**other, "file": 0, "frame": 0, "time": 0}


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_lines_come_at_once_and_a_signal_ends_it_with_its_statistics(
    hosts: Link, live: Callable[..., Live], by: signal.Signals
) -> None:
    frames = handshake(10)
    command = live("-i", "cable")
    send(hosts.client, "cable", frames[:1])
    assert "Flags [S]" in command.wait(1)[0]
    send(hosts.client, "cable", frames[1:])
    command.wait(3)
    status, out, err = command.end(by)
    assert (status, out.count("\n")) == (0, 3)
    assert err.splitlines() == [
        "tiopt: listening on cable for flow options; Ctrl-C ends it",
        "tiopt: cable: 3 frames let through by the filter, 3 flow options found, 0 frames dropped by the kernel",
    ]


@pytest.mark.parametrize(
    ("form", "header", "mark"),
    [("text", 0, "flow-d tifid"), ("json", 0, '"variant": "flow-d"'), ("csv", 1, "flow-d"), ("table", 1, ":443")],
)
def test_every_format_is_live(hosts: Link, live: Callable[..., Live], form: str, header: int, mark: str) -> None:
    command = live("-i", "any", "-f", form, "-c", 3)
    frames = handshake(11)
    send(hosts.client, "cable", frames[:2])
    lines = command.wait(2 + header)
    assert all(mark in line for line in lines[header:])
    assert command.process.poll() is None
    send(hosts.client, "cable", [frames[2], END])
    status, out, err = command.end(None)
    assert (status, out.count("\n")) == (0, 3 + header)
    assert "3 flow options found" in err


def test_all_segments(hosts: Link, live: Callable[..., Live]) -> None:
    command = live("-i", "cable", "--all", "-c", 5)
    send(hosts.client, "cable", handshake(12))
    status, out, err = command.end(None)
    assert (status, out.count("\n")) == (0, 5)
    assert "listening on cable for TCP segments" in err
    assert "5 frames let through by the filter, 3 flow options found" in err


def test_what_cannot_be_decoded_is_said(hosts: Link, live: Callable[..., Live]) -> None:
    command = live("-i", "cable", "-c", 1)
    send(hosts.client, "cable", [END[:12] + b"\x88\x47" + b"\0\0\1\x40" + b"\x70", END])
    status, _, err = command.end(None)
    assert status == 0
    assert "tiopt: cable: 1 frame not decoded: MPLS payload" in err


@pytest.mark.parametrize(("words", "state"), [(("delete",), "gone"), (("set", "down"), "down")])
def test_a_device_that_ends_is_an_error_after_its_lines(
    hosts: Link, live: Callable[..., Live], words: tuple[str, ...], state: str
) -> None:
    name = hosts.server.name
    ip("-n", name, "link", "add", "short", "type", "veth", "peer", "name", "other")
    ip("-n", name, "link", "set", "other", "up")
    try:
        ip("-n", name, "link", "set", "short", "up")
        command = live("-i", "short")
        send(hosts.server, "short", handshake(13)[:3])
        command.wait(3)
        ip("-n", name, "link", words[0], "short", *words[1:])
        status, out, err = command.end(None)
    finally:
        if state != "gone":
            ip("-n", name, "link", "delete", "short")
    assert (status, out.count("\n")) == (3, 3)
    assert f"tiopt: short: expected frames of the interface, found that it is {state}\n" in err
    assert "3 frames let through" in err


def test_an_unknown_interface_is_wrong_usage(hosts: Link, live: Callable[..., Live]) -> None:
    status, out, err = live("-i", "cabel").end(None)
    assert (status, out) == (2, "")
    assert err == "tiopt decode: no interface 'cabel'; there are lo, cable, any\n"


def test_without_the_capability_the_fix_is_said(hosts: Link) -> None:
    nobody = [needs("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    command = [needs("ip"), "netns", "exec", hosts.server.name, *nobody, sys.executable, "-m", "tioption.cli"]
    done = subprocess.run([*command, "decode", "-i", "lo"], capture_output=True, text=True, cwd=ROOT, check=False)
    if "Permission denied" in done.stderr or "No module named" in done.stderr:
        pytest.skip("nobody may not run this Python")
    assert (done.returncode, done.stdout) == (4, "")
    assert "capturing on lo needs the capability CAP_NET_RAW: run tiopt with sudo" in done.stderr
    assert "setcap cap_net_raw+ep" in done.stderr
