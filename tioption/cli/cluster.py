"""Work on many files on the workers of a Dask cluster, which see the files under the same names; the order is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from typing import Any, Final

from tioption.cli.declare import MachineError, UsageError
from tioption.cli.files import only_here, size_of
from tioption.cli.jobs import Done, Event, Here, Mapping
from tioption.cli.worker import Outcome, Work, worked

_PATIENCE: Final = 10  # seconds for the scheduler to answer, and for a worker to be there
_AHEAD: Final = 2  # files per thread of the cluster that may be begun before the first of them is done


def mapped_on(address: str, mapping: Mapping) -> Generator[Event, None, None]:
    """The output of the work on each file, in the order of the files; the output of one file is in memory at a time.

    To be closed where it is not read to its end. Raises MachineError where the cluster cannot do it,
    UsageError where that is no address.
    """
    client = _connected(address)
    try:
        yield from _events(client, mapping)
    finally:
        with suppress(Exception):  # whatever it says: this process is done with it
            client.close(timeout=1)


def _connected(address: str) -> Any:
    try:
        import distributed
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise MachineError("--dask needs distributed: pip install 'tioption[dask]'") from None
    new: Any = distributed.Client  # without annotations
    try:
        get_address_host_port(address if "://" in address else f"tcp://{address}")
    except (ImportError, TypeError, ValueError) as error:
        raise UsageError(f"--dask takes an address like tcp://192.0.2.1:8786, not {address}: {error}") from None
    try:
        client: Any = new(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        found = str(error) or type(error).__name__
        raise MachineError(
            f"--dask {address}: no scheduler answers there ({found}); dask scheduler starts one and prints its address"
        ) from None
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        client.close(timeout=1)
        raise MachineError(f"--dask {address}: the cluster has no workers; dask worker {address} starts one") from None
    return client


def _events(client: Any, mapping: Mapping) -> Generator[Event, None, None]:
    files, progress = mapping.files, mapping.progress
    room = _AHEAD * max(1, sum(client.nthreads().values()))
    begun: deque[tuple[int, Any]] = deque()
    following = 0
    for turn, file in enumerate(files):
        while following < len(files) and len(begun) < room:
            if not only_here(files[following]):
                task = mapping.work, files[following], mapping.encoding, mapping.errors
                begun.append((following, client.submit(work_in_memory, *task, pure=False)))
            following += 1
        if only_here(file):
            yield Here(turn)
            continue
        _, future = begun.popleft()
        octets, outcome = _result(future, file)
        if outcome.lacking:
            raise MachineError(outcome.lacking)
        yield octets
        size = size_of(file)
        progress.update(file, size or 0, size, 0, turn)
        progress.finish(turn)
        yield Done(turn, outcome)


def work_in_memory(work: Work, file: str, encoding: str, errors: str) -> tuple[bytes, Outcome]:
    """What a worker of the cluster does with a file: the octets made of it, and how that ended."""
    from tioption.cli.progress import Progress

    octets = BytesIO()
    with TextIOWrapper(octets, encoding, errors, newline="\n") as out:
        outcome = worked(work, file, out, Progress(visible=False))
        out.flush()
        return octets.getvalue(), outcome


def _result(future: Any, file: str) -> tuple[bytes, Outcome]:
    try:
        made: tuple[bytes, Outcome] = future.result()
    except ImportError as error:
        raise MachineError(f"a worker of the cluster cannot load tioption: {error}; install the same release") from None
    except Exception as error:  # a worker that died, or a cluster that did
        found = f"{type(error).__name__}: {error}"
        line = f"tiopt: {file}: expected a worker of the cluster to read it, found {found}\n"
        return b"", Outcome(errors=(line,))
    return made
