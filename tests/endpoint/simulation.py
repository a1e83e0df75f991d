"""Two endpoints, a path that does its worst, one seed a run: streams arrive exactly, or both applications are told.

    python -m tests.endpoint.simulation --runs 10000 [--seed N] [--jobs N]
    python -m tests.endpoint.simulation --seed N --log          one run again, with everything the endpoints decided
    python -m tests.endpoint.simulation --seed N --pcap PREFIX  and what passed either host

A run has failed where a byte is wrong, missing, repeated, where an application is left waiting, or where the packets of
a host break a rule.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tioption.build.capture_file import pcap
from tioption.capture.dissection import Dissection
from tioption.capture.internet import ip
from tioption.capture.segment import Segment
from tioption.capture.undecoded import UndecodedCounter
from tioption.endpoint.config import FlowConfig, StackConfig, TcpConfig
from tioption.endpoint.events import FlowResumed, Opened
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import Middlebox, Network, Passed
from tioption.endpoint.log import EventLog
from tioption.endpoint.rtt import MS, SECOND
from tioption.endpoint.stack import Stack
from tioption.errors import ParseError
from tioption.middlebox import parse_box, random_specs
from tioption.packet import read_ip, read_tcp
from tioption.rules import Severity
from tioption.verdict.validator import Validator

A_ADDRESSES = {4: ("192.0.2.1", "192.0.2.9"), 6: ("2001:db8::1", "2001:db8::9")}
B_ADDRESS = {4: "198.51.100.2", 6: "2001:db8:b::2"}
PORT = 4433
BOUND = 3600 * SECOND
"""Virtual time within which every run has to end."""
HONEST = frozenset({"lose", "duplicate", "reorder", "delay", "queue", "nat", "firewall", "window-tracking"})
"""Boxes that alter nothing but addresses and ports."""


@dataclass(frozen=True)
class Plan:
    """Everything a run consists of; the seed decides it."""

    seed: int
    family: int
    latency: int
    boxes: tuple[str, ...]
    forget: tuple[int, ...]
    """When whatever can forget does, in nanoseconds from the beginning."""
    resume: tuple[int, ...]
    """When A's application asks for a resume."""
    migrate: tuple[int, ...]
    sizes: tuple[int, int]
    paces: tuple[int, int]
    """Nanoseconds between an application's writes, 0 for all at once."""
    read_every: tuple[int, int]
    buffers: tuple[int, int]
    tcp: TcpConfig
    flow: FlowConfig
    option: tuple[bool, bool]

    @property
    def honest(self) -> bool:
        """Whether no box alters what the validator looks at."""
        return all(box.partition(":")[0] in HONEST for box in self.boxes)


def plan(seed: int) -> Plan:
    """The run of a seed."""
    random = Random(seed)
    boxes = tuple(_boxes(random))
    span = random.choice((300 * MS, 2 * SECOND, 20 * SECOND))
    tcp = TcpConfig(
        timestamps=random.random() < 0.8,
        sack=random.random() < 0.8,
        window_scaling=random.random() < 0.8,
        nagle=random.random() < 0.2,
        delayed_ack=random.choice((0, 40 * MS, 200 * MS)),
        confirm_repeat=random.random() < 0.3,
        mtu=random.choice((1500, 1500, 1280, 576)),
    )
    return Plan(
        seed,
        random.choice((4, 6)),
        random.choice((500_000, 5 * MS, 20 * MS, 80 * MS)),
        boxes,
        tuple(random.randrange(span) for _ in range(random.choice((0, 1, 1, 2, 4)))),
        tuple(random.randrange(span) for _ in range(random.choice((0, 0, 0, 1)))),
        tuple(random.randrange(span) for _ in range(random.choice((0, 0, 0, 1)))),
        (random.choice((0, 1, 1000, 30_000, 120_000)), random.choice((0, 1, 1000, 30_000, 120_000))),
        (random.choice((0, 0, 10 * MS, 300 * MS)), random.choice((0, 0, 10 * MS, 300 * MS))),
        (random.choice((0, 0, 50 * MS, SECOND)), random.choice((0, 0, 50 * MS, SECOND))),
        (random.choice((2048, 16384, 1 << 18)), random.choice((2048, 16384, 1 << 18))),
        tcp,
        FlowConfig(threshold=random.choice((1, 2, 3)), answerer_resumes=random.random() < 0.1),
        (random.random() < 0.97, random.random() < 0.97),
    )


def _boxes(random: Random) -> Iterator[str]:
    """Mostly the path the option was made for; in a third of the runs, anything."""
    how = random.choice(("silent", "rst", "both"))
    if random.random() < 0.8:
        loose = random.choice(("yes", "no"))
        ports = random.choice(("preserve", "random"))
        yield random.choice((f"nat:how={how},loose={loose},ports={ports}", f"firewall:how={how}"))
    if random.random() < 0.5:
        yield f"lose:{random.choice(('1%', '5%', '15%'))}"
    if random.random() < 0.3:
        yield f"duplicate:{random.choice(('2%', '20%'))},after={random.choice(('0ms', '1ms', '300ms', '3s'))}"
    if random.random() < 0.3:
        yield f"reorder:{random.choice(('2%', '20%'))},by={random.choice(('1ms', '30ms', '400ms'))}"
    if random.random() < 0.2:
        yield "delay:10ms,jitter=10ms"
    if random.random() < 0.35:
        yield from random_specs(random)


class Application:
    """Writes what it has, reads what comes, and closes when it has written all."""

    def __init__(self, octets: bytes, pace: int, read_every: int, random: Random) -> None:
        self.octets = octets
        self.received = bytearray()
        self.boundary: IsolationBoundary | None = None
        self.written = 0
        self.closed = False
        self.modes: list[str] = []
        self.resumed = 0
        self._pace = pace
        self._read_every = read_every
        self._random = random
        self._write_at = self._read_at = 0

    def wake(self) -> int | None:
        """When it wants to act without being told."""
        if self.boundary is None:
            return None
        times = []
        writable = self.boundary.error is None and self.boundary.opened and self.boundary.send_stream.room
        if writable and self.written < len(self.octets):
            times.append(self._write_at)
        if self.boundary.receive_stream.unread:
            times.append(self._read_at)
        return min(times, default=None)

    def act(self, now: int) -> None:
        """Do what is to be done now."""
        boundary = self.boundary
        if boundary is None:
            return
        while boundary.events:
            event = boundary.events.popleft()
            if isinstance(event, Opened):
                self.modes.append(event.mode)
            elif isinstance(event, FlowResumed):
                self.resumed += 1
        if boundary.receive_stream.unread and now >= self._read_at:
            self.received += boundary.read(-1 if not self._read_every else self._random.randrange(1, 20_000))
            self._read_at = now + self._read_every
        if boundary.error is not None or not boundary.opened or self.closed:
            return
        if self.written < len(self.octets) and now >= self._write_at:
            size = len(self.octets) if not self._pace else self._random.randrange(1, 10_000)
            self.written += boundary.write(self.octets[self.written : self.written + size])
            self._write_at = now + self._pace
        if self.written == len(self.octets):
            self.closed = True
            boundary.close()


@dataclass
class Result:
    """What came of a run."""

    plan: Plan
    outcome: str
    problems: list[str]
    resumed: int
    packets: int
    duration: int
    network: Network


def run(made: Plan, sink: Callable[[str], object] | None = None) -> Result:
    """Play a run to its end and look at what came of it."""
    random = Random(made.seed ^ 0x5EED)
    hosts = []
    for side, name in enumerate("ab"):
        addresses = A_ADDRESSES[made.family] if side == 0 else (B_ADDRESS[made.family],)
        config = StackConfig(
            enabled=made.option[side],
            tcp=made.tcp,
            flow=made.flow,
            send_buffer=max(4096, made.buffers[side]),
            receive_buffer=made.buffers[side],
            backlog=random.choice((0, 16, 16, 16)),
        )
        hosts.append(
            Stack(addresses, config, bits=random.getrandbits, secret=random.randbytes(16), log=EventLog(sink, name))
        )
    boxes: list[Middlebox] = [parse_box(spec, Random(random.getrandbits(64))) for spec in made.boxes]
    network = Network(hosts[0], hosts[1], boxes, latency=made.latency)
    start = network.now
    apps = [
        Application(random.randbytes(made.sizes[side]), made.paces[side], made.read_every[side], random)
        for side in (0, 1)
    ]
    listener = hosts[1].listen(PORT)
    a = hosts[0].connect(B_ADDRESS[made.family], PORT, start, source=A_ADDRESSES[made.family][0])
    apps[0].boundary = a
    extra: list[IsolationBoundary] = []
    woken: set[int] = set()

    def act() -> None:
        while listener.accepted:
            accepted = listener.accepted.popleft()
            if apps[1].boundary is None:
                apps[1].boundary = accepted
            else:
                extra.append(accepted)
        for app in apps:
            app.act(network.now)
            wake = app.wake()
            if wake is not None and wake > network.now and wake not in woken:
                woken.add(wake)
                network.at(wake, lambda: None)
        woken.difference_update([moment for moment in woken if moment <= network.now])

    network.after_step = act
    for box in boxes:
        forget = getattr(box, "forget", None)
        if forget is not None:
            for moment in made.forget:
                network.at(start + moment, forget)
    for moment in made.resume:
        network.at(start + moment, lambda: a.resume(network.now))
    there = A_ADDRESSES[made.family][1]
    for moment in made.migrate:
        network.at(start + moment, lambda: hosts[0].migrate(a, there, network.now))

    def done() -> bool:
        if any(app.boundary is not None and app.boundary.receive_stream.unread for app in apps):
            return False
        b = apps[1].boundary
        return a.over and (b.over if b is not None else not listener.half_open)

    ended = network.run(start + BOUND, done)
    act()
    problems = list(_check(apps, ended, extra))
    problems += _judge(made, network)
    outcome = _outcome(apps)
    duration = network.now - start
    packets = sum(len(tap) for tap in network.taps)
    return Result(made, outcome, problems, max(app.resumed for app in apps), packets, duration, network)


def _delivered(apps: list[Application]) -> bool:
    """Whether both streams have arrived, each with its end."""
    return all(
        app.boundary is not None and app.boundary.receive_stream.ended and bytes(app.received) == other.octets
        for app, other in zip(apps, reversed(apps), strict=True)
    )


def _outcome(apps: list[Application]) -> str:
    mode = "/".join(app.modes[0] if app.modes else "-" for app in apps)
    errors = [
        type(app.boundary.error).__name__ if app.boundary is not None and app.boundary.error is not None else ""
        for app in apps
    ]
    if not any(errors):
        return f"{mode}: exact"
    told = ", ".join(error or "no error" for error in errors)
    return f"{mode}: {'exact, then ' if _delivered(apps) else ''}{told}"


def _check(apps: list[Application], ended: bool, extra: list[IsolationBoundary]) -> Iterator[str]:
    names = ("A", "B")
    for name, app, other in zip(names, apps, reversed(apps), strict=True):
        received = bytes(app.received)
        if received != other.octets[: len(received)]:
            at = next(
                (at for at, (one, two) in enumerate(zip(received, other.octets, strict=False)) if one != two),
                len(other.octets),
            )
            yield f"{name} received a wrong octet at {at} of {len(received)}"
        boundary = app.boundary
        if boundary is not None and boundary.error is None and not boundary.closed:
            yield f"{name} is left waiting, neither finished nor told of an error"
        if boundary is not None and boundary.error is None and not _delivered(apps):
            yield f"{name} finished without an error, but the streams are not complete"
    if apps[1].boundary is None and apps[0].boundary is not None and apps[0].boundary.error is None:
        yield "A finished, but B never began"
    if not ended:
        yield "the run did not end in time"
    if any(boundary.receive_stream.unread for boundary in extra):
        yield "octets reached a second application"


def segments(tap: list[Passed]) -> Iterator[tuple[Segment, bool]]:
    """The segments that passed a host, each with whether the host sent it."""
    dissection = Dissection(UndecodedCounter(), None)
    for number, passed in enumerate(tap, 1):
        if not passed.sent and _damaged(passed.packet):
            continue  # the host did not take it either
        dissection.begin(number, passed.time_ns, passed.packet)
        ip(dissection, 0, len(passed.packet), len(passed.packet))
        for segment in dissection.segments:
            if isinstance(segment, Segment):
                yield segment, passed.sent


def _damaged(packet: bytes) -> bool:
    try:
        found = read_ip(packet)
        read_tcp(found.source, found.destination, found.payload)
    except ParseError:
        return True
    return False


def _judge(made: Plan, network: Network) -> Iterator[str]:
    """What the validator finds: on honest paths anything at all, elsewhere what a host itself has sent."""
    for name, tap in zip("AB", network.taps, strict=True):
        validator = Validator()
        sent_frames = set()
        for segment, sent in segments(tap):
            if sent:
                sent_frames.add(segment.frame)
            validator.observe(segment)
        for finding in validator.findings():
            if finding.severity is Severity.VIOLATION and (made.honest or finding.frame in sent_frames):
                values = f"expected {finding.expected}, found {finding.found}" if finding.expected else ""
                yield f"at {name}, frame {finding.frame}: {finding.rule} {finding.text} {values}"


def play(seed: int) -> tuple[int, str, list[str], int, int, tuple[str, ...]]:
    """A run for a pool of processes."""
    try:
        result = run(plan(seed))
    except Exception as error:
        return seed, "exception", [f"{type(error).__name__}: {error}"], 0, 0, plan(seed).boxes
    return seed, result.outcome, result.problems, result.resumed, result.packets, result.plan.boxes


def main() -> int:
    """Many runs, or one again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--pcap", metavar="PREFIX")
    options = parser.parse_args()
    if options.runs == 1:
        return _one(options)
    begun = time.monotonic()
    outcomes: Counter[str] = Counter()
    failed = resumed = packets = 0
    seeds = range(options.seed, options.seed + options.runs)
    with ProcessPoolExecutor(options.jobs) as pool:
        for seed, outcome, problems, resumes, count, boxes in pool.map(play, seeds, chunksize=8):
            outcomes[outcome] += 1
            resumed += resumes
            packets += count
            if problems:
                failed += 1
                print(f"seed {seed} ({' '.join(boxes)}): {outcome}")
                for problem in problems[:3]:
                    print(f"    {problem}")
    for outcome, count in outcomes.most_common():
        print(f"{count:6}  {outcome}")
    print(
        f"{options.runs} runs, {failed} failed, {resumed} resumes, {packets} packets, {time.monotonic() - begun:.0f} s"
    )
    return 1 if failed else 0


def _one(options: argparse.Namespace) -> int:
    made = plan(options.seed)
    print(made)
    result = run(made, print if options.log else None)
    print(f"{result.outcome}; {result.resumed} resumes, {result.packets} packets, {result.duration / SECOND:.3f} s")
    for problem in result.problems:
        print(f"    {problem}")
    if options.pcap:
        for name, tap in zip("ab", result.network.taps, strict=True):
            path = Path(f"{options.pcap}-{name}.pcap")
            path.write_bytes(pcap(((one.time_ns, one.packet) for one in tap), 101))
            print(path)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
