"""`tiopt listen`: accept conversations that outlive their connections, and bring octets to and fro."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from tioption.cli.declare import Argument, Command, Flag, UsageError
from tioption.cli.host import OPTIONS, Settings, host
from tioption.cli.host import run as run_host
from tioption.cli.packets import port_number

if TYPE_CHECKING:
    from tioption.endpoint import FlowWriter


def run(words: list[str], keep: bool, **options: Any) -> int:
    """Accept one conversation, or one after another, by the options of a host; return the exit status."""
    if len(words) != 1:
        raise UsageError(f"expected a port, found {' '.join(words)}")
    return run_host(_listen(port_number(words[0]), Settings(**options), keep=keep))


async def _listen(port: int, settings: Settings, *, keep: bool) -> int:
    from tioption.cli.netcat import converse
    from tioption.endpoint import start_server
    from tioption.option import Variant

    kept = asyncio.Lock()  # standard input and output are for one conversation at a time
    over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    tasks: set[asyncio.Task[None]] = set()

    async with host(settings, port) as this:

        async def handle(reader: asyncio.StreamReader, writer: FlowWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            if not keep:
                server.close()
                if len(tasks) > 1:
                    writer.flow.abort()
                    return
            try:
                async with kept if settings.exec is None else nullcontext():
                    well = await converse(reader, writer, settings.exec, settings.say)
            except BrokenPipeError as error:  # nobody reads standard output any more
                over.set_exception(error)
                return
            finally:
                tasks.discard(task)
            if not keep:
                over.set_result(well)

        chosen = Variant(settings.variant)
        server = await start_server(this, handle, port, variant=chosen, option=not settings.plain)
        settings.say(f"listening at port {port}; Ctrl-C ends it")
        try:
            return 0 if await over else 3
        except asyncio.CancelledError:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise


COMMAND = Command(
    "listen",
    "Accept conversations that outlive their connections, like netcat.",
    "Accept a TCP connection at PORT with the flow option, and bring octets between it and standard input and output. "
    "When a NAT or firewall forgets the connection, the other side carries the conversation on over another one, and "
    "nothing is lost. A peer that does not know the option gets plain TCP. The endpoint speaks from this machine's "
    "addresses beside its kernel, or from one of its own (--tun). Whoever sees the handshake can take the flow over "
    "(SEC-05): use TLS or SSH above it.",
    (
        "tiopt listen 7000 > received",
        "tiopt listen 7 -k --exec cat",
        "tiopt listen 22 -k --exec 'nc localhost 22'",
        "tiopt listen 7000 --tun 10.66.0.2 --pcap listen.pcap --log listen.jsonl",
    ),
    Argument("words", "PORT", "The port to listen at."),
    (Flag("keep", ("--keep-open", "-k"), "Accept further conversations; with --exec, at the same time."), *OPTIONS),
    run,
)
