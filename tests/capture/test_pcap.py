"""Classic pcap in all its forms, from files, pipes and compressed streams, and what is damaged."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from struct import pack

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from tests.capture.reading import records
from tests.capture.wraps import IP4
from tests.conftest import ROOT, needs
from tioption.build.capture_file import pcap
from tioption.capture import Capture
from tioption.capture.compression import CHUNK, DamagedStreamError, compression_of, decompressed


def file(magic: int, order: str, *, kuznetzov: bool = False, frames: int = 2, network: int = 101) -> bytes:
    out = pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, network)
    for number in range(frames):
        out += pack(f"{order}IIII", 1_700_000_000 + number, 123_456, len(IP4), len(IP4) + number)
        out += (pack(f"{order}IHBB", 3, 0x0800, 0, 0) if kuznetzov else b"") + IP4
    return out


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "nanoseconds", "kuznetzov"),
    [(0xA1B2C3D4, 123_456_000, False), (0xA1B23C4D, 123_456, False), (0xA1B2CD34, 123_456_000, True)],
)
def test_every_form(tmp_path: Path, order: str, magic: int, nanoseconds: int, kuznetzov: bool) -> None:
    found, error = records(tmp_path / "x", file(magic, order, kuznetzov=kuznetzov))
    assert error is None
    assert [record.frame for record in found] == [1, 2]
    assert [record.time_ns for record in found] == [
        1_700_000_000_000_000_000 + nanoseconds,
        1_700_000_001_000_000_000 + nanoseconds,
    ]
    assert {record.data for record in found} == {IP4}
    assert [record.length for record in found] == [len(IP4), len(IP4) + 1]
    assert {record.link_type for record in found} == {101}


def test_the_upper_bits_of_the_link_type_are_not_part_of_it(tmp_path: Path) -> None:
    found, _ = records(tmp_path / "x", file(0xA1B2C3D4, "<", network=0x54000000 | 101))
    assert {record.link_type for record in found} == {101}


def test_frames_of_other_link_types_may_be_larger_and_are_skipped_unread(tmp_path: Path) -> None:
    body = pack("<IIII", 1, 0, 3 << 20, 3 << 20) + bytes(3 << 20)
    octets = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 27, 220) + body * 3
    found, error = records(tmp_path / "x", octets)
    assert error is None
    assert [(record.frame, record.data, record.length) for record in found] == [(n, b"", 3 << 20) for n in (1, 2, 3)]
    found, error = records(tmp_path / "x", octets[:-1])
    assert len(found) == 2
    assert error is not None
    assert error.frame == 3


WHOLE = file(0xA1B2C3D4, "<")
RECORD = 16 + len(IP4)


@pytest.mark.parametrize(
    ("octets", "delivered", "frame", "offset", "expected", "found"),
    [
        (WHOLE[:10], 0, None, 0, "a file header of 24 octets", "10"),
        (WHOLE[: 24 + RECORD + 7], 1, 2, 24 + RECORD, "a record header of 16 octets", "the end after 7"),
        (WHOLE[:-1], 1, 2, 24 + RECORD, f"{len(IP4)} octets of the frame", f"the end after {len(IP4) - 1}"),
        (WHOLE[: 24 + RECORD + 16], 1, 2, 24 + RECORD, f"{len(IP4)} octets of the frame", "the end after 0"),
        (
            WHOLE[: 24 + RECORD] + pack("<IIII", 0, 0, 1 << 30, 1 << 30) + bytes(100),
            1,
            2,
            24 + RECORD + 8,
            "a frame of at most 262144 octets",
            "1073741824",
        ),
        (b"", 0, None, 0, "a pcap or pcapng file", "an empty file"),
        (b"GIF8", 0, None, 0, "a pcap or pcapng file", "text that begins 'GIF8'"),
        (b"\xd4\xc3\xb2", 0, None, 0, "a pcap or pcapng file", "the octets d4 c3 b2"),
        (bytes(100), 0, None, 0, "a pcap or pcapng file", "the octets 00 00 00 00"),
    ],
)
def test_damage_ends_the_file_after_what_came_before(
    tmp_path: Path, octets: bytes, delivered: int, frame: int | None, offset: int, expected: str, found: str
) -> None:
    got, error = records(tmp_path / "x", octets)
    assert len(got) == delivered
    assert error is not None
    assert (error.expected, error.found, error.frame, error.offset) == (expected, found, frame, offset)
    assert str(error).startswith(f"{tmp_path / 'x'}: ")


def many(frames: int) -> bytes:
    """Frames that do not compress to nothing: their times and lengths vary."""
    return pcap(
        [(number * 1_000_003_000, IP4 + number.to_bytes(4, "big") * (number % 50)) for number in range(frames)], 101
    )


def read_at_most(file: io.BytesIO, size: int, _: int) -> bytes:
    """A read that returns less than it was asked for, as reads of pipes do."""
    return file.read(size)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("name", COMPRESSORS)
class TestCompressed:
    def test_content_decides(self, tmp_path: Path, name: str) -> None:
        plain = many(30_000)
        found, error = records(tmp_path / "x.pcap", COMPRESSORS[name](plain))
        assert error is None
        assert len(found) == 30_000
        assert found == records(tmp_path / "y", plain)[0]

    def test_several_members_are_one_stream(self, tmp_path: Path, name: str) -> None:
        plain = many(2000)
        cuts = [0, 1, 30, 5000, len(plain)]
        octets = b"".join(COMPRESSORS[name](plain[start:end]) for start, end in pairwise(cuts))
        found, error = records(tmp_path / "x", octets)
        assert error is None
        assert len(found) == 2000

    def test_a_stream_that_ends_too_soon_delivers_what_it_has(self, tmp_path: Path, name: str) -> None:
        octets = COMPRESSORS[name](many(3000))
        found, error = records(tmp_path / "x", octets[: len(octets) * 2 // 3])
        assert error is not None
        assert (error.expected, error.found) == (f"the end of the {name} stream", "the end of the file")
        assert error.frame == len(found) + 1
        if name == "gzip":  # zstd gives whole blocks of up to 128 KiB
            assert 1500 < len(found) < 2500

    def test_a_wrong_checksum_at_the_end_costs_nothing(self, tmp_path: Path, name: str) -> None:
        if name == "zstd":
            options = {int(zstd.CompressionParameter.checksum_flag): 1}
            octets = zstd.compress(many(200), options=options)
        else:
            octets = COMPRESSORS[name](many(200))
        damaged = (
            octets[:-6] + bytes((octets[-6] ^ 1,)) + octets[-5:]
            if name == "gzip"
            else octets[:-1] + bytes((octets[-1] ^ 1,))
        )
        found, error = records(tmp_path / "x", damaged)
        assert error is not None
        assert error.expected == f"{name} data"
        assert len(found) == 200

    def test_damage_in_the_middle_is_named(self, tmp_path: Path, name: str) -> None:
        octets = bytearray(COMPRESSORS[name](many(60_000)))
        middle = len(octets) // 2
        octets[middle : middle + 64] = bytes(64)
        found, error = records(tmp_path / "x", bytes(octets))
        assert error is not None
        assert 10_000 < len(found) < 59_999
        assert error.frame is not None
        assert error.frame > len(found)

    @pytest.mark.parametrize("seed", range(20))
    def test_damage_costs_nothing_of_what_a_decompressor_could_give_before_it(self, name: str, seed: int) -> None:
        """The octets given one by one, of which zstd makes something at the end of each block only, are the measure."""
        random = Random(seed)
        octets = bytearray(COMPRESSORS[name](many(3000) + random.randbytes(300_000)))
        at = random.randrange(20, len(octets))
        octets[at : at + 9] = random.randbytes(9)
        decompressor = zlib.decompressobj(31) if name == "gzip" else zstd.ZstdDecompressor()
        measure = bytearray()
        try:
            for octet in octets:
                measure += decompressor.decompress(bytes((octet,)))
        except (zlib.error, zstd.ZstdError):
            pass
        given = bytearray()
        file = io.BytesIO(octets)
        compression = compression_of(bytes(octets))
        assert compression is not None
        try:
            for piece in decompressed(file.read(100), file.read, compression):
                given += piece
        except DamagedStreamError:
            pass
        assert given == measure

    def test_pieces_of_any_size_give_the_same(self, name: str) -> None:
        plain = many(5000) + bytes(3 << 20)
        octets = COMPRESSORS[name](plain) + COMPRESSORS[name](b"") + COMPRESSORS[name](plain)
        compression = compression_of(octets)
        assert compression is not None
        for size in (1, 7, 1000, 1 << 20):
            file = io.BytesIO(octets)
            pieces = decompressed(file.read(4), partial(read_at_most, file, size), compression)
            assert b"".join(pieces) == plain * 2

    def test_what_follows_the_last_member_is_ignored(self, tmp_path: Path, name: str) -> None:
        found, error = records(tmp_path / "x", COMPRESSORS[name](many(10)) + bytes(100))
        assert error is None
        assert len(found) == 10

    def test_a_bomb_is_read_in_bounded_pieces(self, tmp_path: Path, name: str) -> None:
        """A frame header that claims nothing, then 256 MiB of zeros: every record is an empty frame."""
        plain = pcap([], 101)
        octets = COMPRESSORS[name](plain + bytes(256 << 20))
        assert len(octets) < 1 << 20
        (tmp_path / "x").write_bytes(octets)
        compression = compression_of(octets)
        assert compression is not None
        with (tmp_path / "x").open("rb") as file:
            assert max(map(len, decompressed(file.read(100), file.read, compression))) <= 2 * CHUNK


def test_empty_members_are_passed_over(tmp_path: Path) -> None:
    found, error = records(tmp_path / "x", gzip.compress(b"") + gzip.compress(many(3)))
    assert error is None
    assert len(found) == 3


def test_zstd_skippable_frames_are_passed_over(tmp_path: Path) -> None:
    skippable = pack("<II", 0x184D2A53, 5) + b"hello"
    found, error = records(tmp_path / "x", skippable + zstd.compress(many(3)) + skippable)
    assert error is None
    assert len(found) == 3


def test_a_compressed_text_is_no_capture(tmp_path: Path) -> None:
    _, error = records(tmp_path / "x", gzip.compress(b"hello, world"))
    assert error is not None
    assert error.found == "text that begins 'hell'"


def test_raw_deflate_is_no_capture(tmp_path: Path) -> None:
    _, error = records(tmp_path / "x", zlib.compress(many(3)))
    assert error is not None


def test_a_pipe_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Frames arrive before the writer has finished, and the reader says when it is about to wait."""
    octets = many(4)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    go_on = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as fifo:
            fifo.write(octets[:-20])
            go_on.wait(10)
            fifo.write(octets[-20:])

    writer = threading.Thread(target=write)
    writer.start()
    waits: list[int] = []
    try:
        with Capture(str(path), lambda source: waits.append(source.consumed)) as capture:
            assert capture.source.size is None
            frames = capture.records()
            assert [next(frames).frame for _ in range(3)] == [1, 2, 3]
            go_on.set()
            assert [record.frame for record in frames] == [4]
    finally:
        go_on.set()
        writer.join()
    assert waits[0] == 0
    assert len(octets) - 20 in waits


def test_memory_is_bounded_by_the_chunk_not_by_the_file(tmp_path: Path) -> None:
    """A process that may have 192 MiB of address space reads 400 MB of frames."""
    path = tmp_path / "large.pcap"
    part = many(20_000)
    with path.open("wb") as out:
        out.write(part)
        for _ in range(170):
            out.write(part[24:])
    assert path.stat().st_size > 350_000_000
    code = (
        "import resource, sys; from tioption.capture import Capture\n"
        "from tioption.option import DEFAULT_KINDS\n"
        "resource.setrlimit(resource.RLIMIT_AS, (192 << 20, 192 << 20))\n"
        "c = Capture(sys.argv[1]); print(sum(1 for _ in c.records()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(20_000 * 171), "")


def test_tcpdump_and_wireshark_count_the_same_frames(tmp_path: Path) -> None:
    tcpdump, capinfos = needs("tcpdump"), needs("capinfos")
    path = tmp_path / "x.pcap"
    path.write_bytes(many(1000))
    lines = subprocess.run([tcpdump, "-n", "-r", path], capture_output=True, text=True, check=True).stdout.splitlines()
    counted = subprocess.run([capinfos, "-Mc", path], capture_output=True, text=True, check=True).stdout
    assert len(lines) == len(records(path, path.read_bytes())[0]) == 1000
    assert counted.split()[-1] == "1000"
