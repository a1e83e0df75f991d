"""Octets between a conversation and a program: standard input and output, or a shell command's.

What `tiopt listen` and `tiopt connect` do with their streams, much as netcat does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from signal import SIGTERM
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tioption.cli.host import Say
    from tioption.endpoint import FlowWriter

_CHUNK = 1 << 16
_PIPE_BUF = 4096
"""Octets a pipe that can be written takes without blocking (pipe(7))."""
_PATIENCE = 3.0
"""Seconds the other side has to end its stream after Ctrl-C."""


async def converse(reader: asyncio.StreamReader, writer: FlowWriter, command: str | None, say: Say) -> bool:
    """Bring octets to and fro until both streams have ended; whether they ended in order."""
    peer, port = writer.get_extra_info("peername")
    say(f"{peer} port {port}: connected, {_how(writer)}")
    error: OSError | None = None
    try:
        if command is None:
            await _standard(reader, writer)
        else:
            await _execute(reader, writer, command)
        writer.close()
        await writer.wait_closed()
    except (asyncio.CancelledError, BrokenPipeError):  # the user, or who reads standard output, has had enough
        await _leave(writer)
        raise
    except OSError as one:
        error = one
    finally:
        where, count = writer.positions, writer.transports
        over = f" over {count} connections" if count > 1 else ""
        say(f"{peer} port {port}: {where.written} octets sent, {where.received} received{over}")
    if error is not None:
        say(f"{peer} port {port}: {error}")
    return error is None


def _how(writer: FlowWriter) -> str:
    if writer.mode == "legacy":
        return "plain TCP"
    unconfirmed = ", which the other side has not confirmed" if writer.mode == "unconfirmed" else ""
    return f"flow {writer.tifid}{unconfirmed}"


async def _leave(writer: FlowWriter) -> None:
    """End the own stream, and wait a moment for the other side to end its own."""
    writer.close()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), _PATIENCE)


async def _standard(reader: asyncio.StreamReader, writer: FlowWriter) -> None:
    """Standard input and output; a person at a terminal has nothing more to say once the other side has ended."""

    async def forth() -> None:
        while octets := await reader.read(_CHUNK):
            await _write(1, octets)

    async def back() -> None:
        while octets := await _read(0):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(back())
    try:
        await forth()
        if not os.isatty(0):
            await sending
    finally:
        await _stop(sending)


async def _execute(reader: asyncio.StreamReader, writer: FlowWriter, command: str) -> None:
    """A command's input and output; when it has ended, so has the conversation."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_shell(command, stdin=pipe, stdout=pipe, start_new_session=True)
    sink, source = process.stdin, process.stdout
    assert sink is not None
    assert source is not None

    async def forth() -> None:
        with suppress(OSError):  # the command reads no more; or the conversation broke, which its end will tell
            while octets := await reader.read(_CHUNK):
                sink.write(octets)
                await sink.drain()
        sink.close()

    async def back() -> None:
        while octets := await source.read(_CHUNK):
            writer.write(octets)
            await writer.drain()
        await process.wait()

    receiving = asyncio.create_task(forth())
    try:
        await back()
    finally:
        await _stop(receiving)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, SIGTERM)
            await process.wait()


async def _stop(task: asyncio.Task[None]) -> None:
    """End a task whose outcome no longer matters."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _ready(descriptor: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    """Wait until a descriptor can be read or written without blocking; files always can."""
    ready = asyncio.Event()
    try:
        add(descriptor, ready.set)
    except PermissionError:  # a file: epoll knows only what may block
        await asyncio.sleep(0)
        return
    try:
        await ready.wait()
    finally:
        remove(descriptor)


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    await _ready(descriptor, loop.add_reader, loop.remove_reader)
    return os.read(descriptor, _CHUNK)


async def _write(descriptor: int, octets: bytes) -> None:
    loop = asyncio.get_running_loop()
    left = memoryview(octets)
    while left:
        await _ready(descriptor, loop.add_writer, loop.remove_writer)
        left = left[os.write(descriptor, left[:_PIPE_BUF]) :]
