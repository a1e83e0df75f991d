"""`--dask` on a real cluster: a scheduler and two workers on the loopback interface, for these tests alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome, tiopt_process
from tests.pieces import cut
from tioption.build.catalogue import SCENARIOS

pytest.importorskip("distributed")

Run = Callable[..., Outcome]
TRACE1, TRACE2 = (ROOT / f"pcaps/{name}/{name}.pcap" for name in ("trace1", "trace2"))

QUIET = {
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "False",
    "PYTHONWARNINGS": "ignore",
    "PYTHONPATH": str(ROOT),
}


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        known = folder / "scheduler.json"
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", known)
        until = time.monotonic() + 60
        while not known.exists() or not known.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        self.address: str = json.loads(known.read_text())["address"]

    def work(self) -> None:
        """Start a worker."""
        words = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", self.folder)
        self._start("dask_worker", self.address, *words)

    def _start(self, program: str, *words: object) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *map(str, words), "--no-dashboard"]
        log = (self.folder / f"{program}-{len(self.processes)}.log").open("wb")
        with log:
            self.processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **QUIET})
            )

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        cluster.work()
        cluster.work()
        yield cluster
    finally:
        cluster.stop()


def on(cluster: Cluster, *words: object, stdin: bytes = b"") -> Outcome:
    return tiopt_process(*words, "--dask", cluster.address, stdin=stdin)


@pytest.mark.parametrize(
    "words", [("decode", "-f", "csv"), ("decode", "-a"), ("validate", "-f", "json"), ("validate",)]
)
def test_a_cluster_writes_the_same(words: tuple[str, ...], cluster: Cluster, tmp_path: Path) -> None:
    files = [*cut(SCENARIOS["resume"].pcap(), (4, 9), tmp_path), TRACE2, tmp_path / "nothing", TRACE1]
    done = on(cluster, *words, *files)
    assert done == tiopt_process(*words, *files)
    assert done.status == 3


def test_standard_input_is_read_here(cluster: Cluster) -> None:
    done = on(cluster, "decode", TRACE1, "-", stdin=TRACE2.read_bytes())
    assert done == tiopt_process("decode", TRACE1, "-", stdin=TRACE2.read_bytes())


def test_a_single_file_goes_there_too(cluster: Cluster) -> None:
    assert on(cluster, "validate", TRACE2) == tiopt_process("validate", TRACE2)


def test_a_cluster_without_workers(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        start = time.monotonic()
        status, out, err = on(cluster, "decode", TRACE1, TRACE2)
        assert time.monotonic() - start < 40
    finally:
        cluster.stop()
    assert (status, out) == (4, "")
    assert err == (
        f"tiopt: --dask {cluster.address}: the cluster has no workers; dask worker {cluster.address} starts one\n"
    )


def test_nobody_there() -> None:
    start = time.monotonic()
    status, out, err = tiopt_process("validate", "--dask", "tcp://127.0.0.1:9", TRACE1, TRACE2)
    assert time.monotonic() - start < 40
    assert (status, out) == (4, "")
    assert err.startswith("tiopt: --dask tcp://127.0.0.1:9: no scheduler answers there (")
    assert err.count("\n") == 1


@pytest.mark.parametrize("address", ["nonsense", "no:where:1", "xyz://127.0.0.1:9"])
def test_what_is_no_address(address: str) -> None:
    status, out, err = tiopt_process("decode", "--dask", address, TRACE1, TRACE2)
    assert (status, out) == (2, "")
    assert err.startswith(f"tiopt decode: --dask takes an address like tcp://192.0.2.1:8786, not {address}: ")
    assert err.count("\n") == 1


def test_without_distributed(monkeypatch: pytest.MonkeyPatch, tiopt: Run) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = tiopt("decode", "--dask", "tcp://127.0.0.1:9", TRACE1, TRACE2)
    assert done == (4, "", "tiopt: --dask needs distributed: pip install 'tioption[dask]'\n")
