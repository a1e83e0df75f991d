"""`tiopt listen` and `tiopt connect`: what they refuse, and how they end; what they do is in tests/live."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Outcome, needs, needs_root
from tests.live.namespaces import PATIENCE, Host, ip

Run = Callable[..., Outcome]
TIOPT = [sys.executable, "-m", "tioption.cli"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("listen", "0"), 2, "expected a port from 1 to 65535, found 0"),
        (("listen", "nonsense"), 2, "expected a port, as a number or the name of a service, found 'nonsense'"),
        (("listen", "1", "2"), 2, "expected a port, found 1 2"),
        (("connect", "localhost"), 2, "expected a host and a port, found localhost"),
        (("connect", "localhost", "65536"), 2, "expected a port from 1 to 65535, found 65536"),
        (("connect", "-6", "192.0.2.1", "7"), 2, "192.0.2.1: no address of IPv6 has this name"),
        (("connect", "x" * 70, "7"), 2, "is not the name of a host"),
        (("listen", "7", "--pcap", "/nowhere/x"), 2, "--pcap /nowhere/x: no such file or directory"),
        (("listen", "7", "--log", "/"), 2, "--log /: is a directory"),
        (("listen", "7", "--kind-d", "9", "--kind-c", "9"), 2, "must differ"),
    ],
)
def test_what_makes_no_sense(words: tuple[str, ...], status: int, said: str, tiopt: Run) -> None:
    done = tiopt(*words)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert done.err.startswith("tiopt")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("listen", "7"), "CAP_NET_RAW"),
        (("connect", "127.0.0.1", "7"), "CAP_NET_RAW"),
        (("listen", "7", "--tun", "192.0.2.1"), "CAP_NET_ADMIN"),
    ],
)
def test_without_the_right_to_it(words: tuple[str, ...], said: str) -> None:
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):  # noqa: PTH110
        pytest.skip("only root can give rights up, and a TUN device is asked for")
    drop = [needs("setpriv"), "--bounding-set=-net_raw,-net_admin", "--inh-caps=-net_raw,-net_admin"]
    done = subprocess.run([*drop, *TIOPT, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@contextmanager
def _alone() -> Iterator[Host]:
    """A namespace with nothing but a loopback device."""
    needs_root()
    host = Host(f"tiopt-{os.getpid()}-nc", "127.0.0.1", "::1")
    ip("netns", "add", host.name)
    try:
        ip("-n", host.name, "link", "set", "lo", "up")
        yield host
    finally:
        ip("netns", "delete", host.name)


def _inside(host: Host, *words: str) -> list[str]:
    return [needs("ip"), "netns", "exec", host.name, *TIOPT, *words]


def test_a_port_that_somebody_has() -> None:
    with _alone() as host, host.listen(socket.AF_INET, 7000):
        command = _inside(host, "listen", "7000")
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (2, "tiopt listen: port 7000: address already in use\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_over_the_loopback_device(address: str) -> None:
    with _alone() as host:
        server = subprocess.Popen(
            _inside(host, "listen", "7000", "--exec", "tr a-z A-Z"), stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr is not None
            assert server.stderr.readline() == "tiopt: listening at port 7000; Ctrl-C ends it\n"
            command = _inside(host, "connect", address, "7000")
            done = subprocess.run(command, input=b"hello\n", capture_output=True, timeout=PATIENCE, check=False)
            assert (done.returncode, done.stdout) == (0, b"HELLO\n"), done.stderr
            assert b"connected, flow " in done.stderr
            assert server.wait(PATIENCE) == 0
        finally:
            server.kill()
            server.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_enough_is_no_error_and_the_other_side_gets_its_end(number: signal.Signals) -> None:
    with _alone() as host:
        server = subprocess.Popen(
            _inside(host, "listen", "7000"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        client = None
        try:
            assert server.stderr is not None
            assert b"listening" in server.stderr.readline()
            client = subprocess.Popen(
                _inside(host, "connect", "127.0.0.1", "7000"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert client.stderr is not None
            assert b"connected" in server.stderr.readline()
            assert b"connected" in client.stderr.readline()
            client.send_signal(number)
            assert server.stdin is not None
            server.stdin.close()  # the other side has nothing more to say either
            assert (client.wait(PATIENCE), server.wait(PATIENCE)) == (0, 0)
            assert b"Traceback" not in client.stderr.read() + server.stderr.read()
        finally:
            for process in (server, client):
                if process is not None:
                    process.kill()
                    process.wait()
                    for pipe in (process.stdin, process.stdout, process.stderr):
                        if pipe is not None:
                            pipe.close()


def test_at_a_terminal_the_other_side_s_end_is_the_end() -> None:
    with _alone() as host:
        command = _inside(host, "listen", "7000", "--exec", "echo good day; exec >&-; sleep 0.1")
        server = subprocess.Popen(command, stderr=subprocess.PIPE)
        ours, theirs = pty.openpty()
        try:
            assert server.stderr is not None
            assert b"listening" in server.stderr.readline()
            client = _inside(host, "connect", "127.0.0.1", "7000")
            done = subprocess.run(client, stdin=theirs, capture_output=True, timeout=PATIENCE, check=False)
            assert (done.returncode, done.stdout) == (0, b"good day\n")
        finally:
            os.close(ours)
            os.close(theirs)
            server.kill()
            server.communicate()


@pytest.mark.parametrize("more", [(), ("--exec", "cat")])
def test_a_conversation_that_is_reset(more: tuple[str, ...]) -> None:
    """The kernel's listener resets what it never accepted: status 3, and nothing but what has become of it is said."""
    with _alone() as host:
        listener = host.listen(socket.AF_INET, 7000)
        client = subprocess.Popen(
            _inside(host, "connect", "127.0.0.1", "7000", *more),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert client.stderr is not None
            assert "connected, plain TCP" in client.stderr.readline()
            listener.close()
            assert client.wait(PATIENCE) == 3
            counted, why = client.stderr.read().splitlines()
            assert counted == "tiopt: 127.0.0.1 port 7000: 0 octets sent, 0 received"
            assert why == "tiopt: 127.0.0.1 port 7000: reset by the other side, or by the path"
        finally:
            client.kill()
            client.communicate()


def test_a_reader_that_has_had_enough() -> None:
    with _alone() as host:
        server = subprocess.Popen(_inside(host, "listen", "7000", "--exec", "yes"), stderr=subprocess.PIPE)
        try:
            assert server.stderr is not None
            assert b"listening" in server.stderr.readline()
            command = " ".join(_inside(host, "connect", "127.0.0.1", "7000"))
            done = subprocess.run(
                ["bash", "-c", f"{command} < /dev/zero | head -c 100000 | wc -c; exit ${{PIPESTATUS[0]}}"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (done.returncode, done.stdout.strip()) == (141, "100000"), done.stderr
            assert "Traceback" not in done.stderr
        finally:
            server.kill()
            server.communicate()


def test_a_listener_whose_output_nobody_reads_any_more() -> None:
    with _alone() as host:
        command = " ".join(_inside(host, "listen", "7000", "-k"))
        server = subprocess.Popen(
            ["bash", "-c", f"{command} < /dev/null | head -c 3; exit ${{PIPESTATUS[0]}}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert server.stderr is not None
            assert b"listening" in server.stderr.readline()
            client = _inside(host, "connect", "127.0.0.1", "7000", "--exec", "echo first; sleep 0.5; echo second")
            subprocess.run(client, capture_output=True, timeout=PATIENCE, check=False)
            out, said = server.communicate(timeout=PATIENCE)
            assert (server.returncode, out) == (141, b"fir")
            assert b"Traceback" not in said
        finally:
            server.kill()
            server.communicate()
