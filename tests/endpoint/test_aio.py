"""The asyncio face: what anyone would write with streams, over flows that break and come back, in virtual time."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

import tioption.endpoint
from tests.conftest import ROOT
from tests.endpoint.hosts import A2, CONFIG, A, B, config
from tioption.endpoint.aio import AsyncHost, FlowWriter, Positions, open_connection, start_server
from tioption.endpoint.config import StackConfig
from tioption.endpoint.events import EndpointEvent, FlowBroken, FlowResumed
from tioption.endpoint.isolation import IsolationBoundary
from tioption.endpoint.link import EPOCH
from tioption.endpoint.memory import MemoryPath, VirtualTimeLoop
from tioption.endpoint.stack import Stack
from tioption.middlebox import parse_box
from tioption.middlebox.nat import Nat
from tioption.option import Variant

Reader = asyncio.StreamReader


class World:
    """Two hosts on a path, made inside a running loop."""

    def __init__(self, *boxes: str, a: StackConfig = CONFIG, b: StackConfig = CONFIG, latency: float = 0.01) -> None:
        random = Random(5)
        self.boxes = [parse_box(spec, Random(number)) for number, spec in enumerate(boxes)]
        self.path = MemoryPath(self.boxes, latency=latency, epoch=EPOCH)
        self.events: list[tuple[str, EndpointEvent]] = []
        stacks = [
            Stack(addresses, settings, bits=random.getrandbits, secret=random.randbytes(16))
            for addresses, settings in (([A, A2], a), ([B], b))
        ]
        self.a = AsyncHost(stacks[0], self.path.a, epoch=EPOCH, observer=self._observer("a"))
        self.b = AsyncHost(stacks[1], self.path.b, epoch=EPOCH, observer=self._observer("b"))
        _worlds.append(self)

    def _observer(self, name: str) -> Callable[[IsolationBoundary, EndpointEvent], None]:
        return lambda _boundary, event: self.events.append((name, event))


_worlds: list[World] = []


async def whole(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do it within an hour, and let go of every link afterwards."""
    try:
        await asyncio.wait_for(main(), 3600)
    finally:
        while _worlds:
            world = _worlds.pop()
            world.a.close()
            world.b.close()


def play(main: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """Run in virtual time: the seconds that passed in it."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(whole(main))
        return runner.get_loop().time()


async def echo(reader: Reader, writer: FlowWriter) -> None:
    while octets := await reader.read(1000):
        writer.write(octets)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_an_echo_server() -> None:
    async def main() -> None:
        world = World()
        async with await start_server(world.b, echo, 7):
            reader, writer = await open_connection(world.a, B, 7)
            assert writer.mode == "flow"
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert (writer.transports, writer.positions) == (1, Positions(5, 5, 5, 5))
            assert writer.get_extra_info("peername") == (B, 7)
            assert writer.get_extra_info("sockname")[0] == A
            assert writer.get_extra_info("nothing", 9) == 9
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    assert play(main) < 1


@pytest.mark.parametrize("how", ["silent", "rst", "both"])
def test_lines_over_a_nat_that_forgets(how: str) -> None:
    async def main() -> None:
        world = World(f"nat:how={how}", "lose:2%")
        (nat, _) = world.boxes
        assert isinstance(nat, Nat)
        await start_server(world.b, echo, 7)
        reader, writer = await open_connection(world.a, B, 7)
        tifid = writer.tifid
        for number in range(50):
            if number % 10 == 5:
                nat.forget()
            writer.write(f"line {number}\n".encode())
            assert await reader.readline() == f"line {number}\n".encode()
        assert writer.transports >= 6
        assert writer.tifid == tifid is not None
        kinds = {type(event) for name, event in world.events if name == "a"}
        assert {FlowBroken, FlowResumed} <= kinds
        writer.close()
        await writer.wait_closed()

    play(main)


def test_resume_and_migrate() -> None:
    async def main() -> None:
        world = World()
        await start_server(world.b, echo, 7)
        reader, writer = await open_connection(world.a, B, 7)
        assert writer.resume()
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        assert writer.migrate(A2)
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        assert writer.transports == 3
        assert writer.get_extra_info("sockname")[0] == A2
        writer.close()

    play(main)


def test_a_large_transfer_both_ways_with_backpressure() -> None:
    octets = Random(1).randbytes(1_000_000)
    pauses = 0

    async def main() -> None:
        nonlocal pauses
        world = World(a=config(send_buffer=20_000), b=config(receive_buffer=10_000))

        async def sink(reader: Reader, writer: FlowWriter) -> None:
            received = await reader.read(-1)
            writer.write(received)
            await writer.drain()

        await start_server(world.b, sink, 7)
        reader, writer = await open_connection(world.a, B, 7)
        for at in range(0, len(octets), 50_000):
            writer.write(octets[at : at + 50_000])
            before = world.a.now
            await writer.drain()
            pauses += world.a.now > before
        writer.write_eof()
        assert await reader.read(-1) == octets

    play(main)
    assert pauses > 5


def test_a_reader_that_is_slower_than_the_conversation_gets_it_to_its_end() -> None:
    """Both streams have ended, and the connection is gone, long before everything is read."""
    data = Random(3).randbytes(250_000)
    got = bytearray()

    async def slow(reader: Reader, writer: FlowWriter) -> None:
        writer.write_eof()
        while octets := await reader.read(10_000):
            got.extend(octets)
            await asyncio.sleep(10)

    async def main() -> None:
        world = World()
        server = await start_server(world.b, slow, 7, limit=1 << 14)
        _, writer = await open_connection(world.a, B, 7)
        writer.write(data)
        writer.close()
        await writer.wait_closed()
        await server.wait_closed()

    play(main)
    assert bytes(got) == data


def test_errors_are_those_of_sockets() -> None:
    async def main() -> None:
        world = World()
        with pytest.raises(ConnectionRefusedError):
            await open_connection(world.a, B, 9)
        with pytest.raises(OSError, match="address of the family"):
            await open_connection(world.a, "2001:db8::1", 9)

        async def rude(_reader: Reader, writer: FlowWriter) -> None:
            writer.transport.abort()

        await start_server(world.b, rude, 7)
        reader, writer = await open_connection(world.a, B, 7)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()
        with pytest.raises(OSError, match="7 taken"):
            await start_server(world.b, rude, 7)

    play(main)


def test_nobody_answers() -> None:
    async def main() -> None:
        world = World("lose:100%")
        with pytest.raises(TimeoutError):
            await open_connection(world.a, B, 7)

    assert play(main) == pytest.approx(183, abs=1)


def test_a_flow_that_cannot_be_resumed_times_out_for_both() -> None:
    ended: list[type[BaseException]] = []

    async def main() -> None:
        world = World("firewall")
        done = asyncio.Event()

        async def reads(reader: Reader, _writer: FlowWriter) -> None:
            try:
                await reader.read()
            except OSError as error:
                ended.append(type(error))
            done.set()

        await start_server(world.b, reads, 7)
        reader, _ = await open_connection(world.a, B, 7)
        await asyncio.sleep(1)
        world.boxes[0].process = lambda *_: []  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            await reader.read()
        await done.wait()

    assert 300 < play(main) < 600
    assert ended == [TimeoutError]


def test_a_cancelled_connect_leaves_nothing() -> None:
    async def main() -> None:
        world = World("lose:100%")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(open_connection(world.a, B, 7), 5)
        await asyncio.sleep(1)
        assert world.a.stack.connections == 0

    play(main)


def test_close_does_not_wait_for_ever_for_a_peer_that_never_ends_its_stream() -> None:
    async def main() -> None:
        world = World()

        async def clings(_reader: Reader, _writer: FlowWriter) -> None:
            await asyncio.sleep(1000)

        await start_server(world.b, clings, 7)
        _, writer = await open_connection(world.a, B, 7)
        writer.close()
        await writer.wait_closed()

    assert 59 < play(main) < 62


def test_plain_tcp_where_it_is_asked_for_and_control_only_over_flows() -> None:
    async def main() -> None:
        world = World()
        await start_server(world.b, echo, 7)
        _, writer = await open_connection(world.a, B, 7, option=False)
        assert (writer.mode, writer.tifid, writer.resume()) == ("legacy", None, False)
        with pytest.raises(ConnectionRefusedError):
            await open_connection(world.a, B, 7, variant=Variant.FLOW_C)
        await start_server(world.b, echo, 8, variant=Variant.FLOW_C)
        _, control = await open_connection(world.a, B, 8, variant=Variant.FLOW_C)
        assert control.mode == "flow"

    play(main)


def test_many_at_once() -> None:
    async def main() -> None:
        world = World("nat:how=rst")
        nat = world.boxes[0]
        assert isinstance(nat, Nat)
        await start_server(world.b, echo, 7)

        async def client(number: int) -> int:
            reader, writer = await open_connection(world.a, B, 7)
            octets = Random(number).randbytes(3000)
            for at in range(0, 3000, 100):
                writer.write(octets[at : at + 100])
                await asyncio.sleep(0.02)
            writer.write_eof()
            assert await reader.read(-1) == octets
            return writer.transports

        asyncio.get_running_loop().call_later(0.5, nat.forget)
        transports = await asyncio.gather(*(client(number) for number in range(40)))
        assert set(transports) == {2}

    play(main)


def test_closing_the_host_ends_everything() -> None:
    async def main() -> None:
        world = World()
        server = await start_server(world.b, echo, 7)
        reader, writer = await open_connection(world.a, B, 7)
        world.a.close()
        assert await reader.read() == b""
        assert writer.is_closing()
        with pytest.raises(OSError, match=r".*"):
            await asyncio.wait_for(open_connection(world.b, A, 7), 200)
        world.b.close()
        await server.wait_closed()

    play(main)


def test_the_same_in_real_time() -> None:
    async def main() -> None:
        world = World(latency=0.001)
        async with await start_server(world.b, echo, 7):
            reader, writer = await open_connection(world.a, B, 7)
            writer.write(b"now")
            assert await reader.readexactly(3) == b"now"
            assert writer.resume()
            writer.write(b"and then")
            assert await reader.readexactly(8) == b"and then"
            writer.close()
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(whole(main), 20))


def test_a_loop_in_which_nothing_will_ever_happen_says_so() -> None:
    async def waits() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(RuntimeError, match="waits for ever"):
        runner.run(waits())


def test_sleeping_takes_no_time() -> None:
    async def main() -> None:
        await asyncio.sleep(100_000)

    loop = VirtualTimeLoop()
    loop.run_until_complete(main())
    assert loop.time() == pytest.approx(100_000)
    loop.close()


def test_the_example_of_the_reference() -> None:
    page = (ROOT / "docs/reference/endpoint.md").read_text()
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.stderr) == (printed, "")


def test_the_package_s_names_load_on_first_use() -> None:
    code = "import sys, tioption.endpoint as e; print('asyncio' in sys.modules, [getattr(e, one) for one in dir(e)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("False [")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        tioption.endpoint.nothing  # noqa: B018
