"""What the FILE words of a command stand for: files, folders, patterns, URLs, standard input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from tioption.cli.declare import MachineError
from tioption.errors import CaptureError

_PATTERN = frozenset("*?[")


def expand(words: Iterable[str]) -> list[str]:
    """The captures that the words stand for, in order: what lies in a folder or fits a pattern in the order of names.

    In a folder captures are known by their content, at every depth; numbers in names count by their value. A word that
    stands for nothing is left as it is: opening it says what is wrong.
    """
    return [name for word in words for name in _expanded(word)]


def _expanded(word: str) -> list[str]:
    if word == "-" or not word:
        return [word]
    if is_url(word):
        return list(_in_url(word)) or [word]
    if os.path.isdir(word):  # noqa: PTH112  a Path would change how names are written
        return list(_in_folder(word)) or [word]
    if not _PATTERN.isdisjoint(word) and not os.path.lexists(word):
        return list(_fitting(word)) or [word]
    return [word]


def in_name_order(names: Iterable[str]) -> list[str]:
    """Names sorted as people count: `dump.pcap2` before `dump.pcap10`, folder by folder."""
    return sorted(names, key=lambda name: [_counted(part) for part in name.split("/")])


def _counted(part: str) -> tuple[list[str | int], str]:
    import re

    pieces = re.split(r"([0-9]+)", part)
    return [int(piece) if at % 2 else piece for at, piece in enumerate(pieces)], part


def _in_folder(folder: str) -> Iterator[str]:
    found = [
        os.path.join(where, name)  # noqa: PTH118
        for where, _, names in os.walk(folder)
        for name in names
        if os.path.isfile(os.path.join(where, name))  # noqa: PTH113, PTH118
    ]
    return filter(_may_be_capture, in_name_order(found))


def _fitting(pattern: str) -> Iterator[str]:
    from glob import glob

    where, _, last = pattern.rstrip("/").rpartition("/")
    if last == "**":
        pattern = where or "."
    names = in_name_order(glob(pattern, recursive=True))  # noqa: PTH207
    if "**" in pattern:  # which goes through links to folders, round and round
        shortest: dict[str, str] = {}
        for name in sorted(names, key=len):
            shortest.setdefault(os.path.realpath(name), name)
        names = [name for name in names if shortest[os.path.realpath(name)] == name]
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112
            yield from _in_folder(name)
        else:
            yield name


def _may_be_capture(name: str, stream: BinaryIO | None = None) -> bool:
    """Whether a file found in a folder is a capture; also one that cannot be read, so that this is said."""
    from tioption.capture.recognition import is_capture

    try:
        return is_capture(name, stream)
    except CaptureError:
        return True


# URLs.


def is_url(name: str) -> bool:
    """Whether the name is a URL and no file of this machine."""
    scheme, _, rest = name.partition(":")
    return rest.startswith(("//", ":")) and scheme.replace("+", "").isalnum() and not os.path.lexists(name)


def only_here(name: str) -> bool:
    """Whether no other process can read the same: standard input, and what lies in this one's memory."""
    return name == "-" or name.startswith("memory://")


def size_of(name: str) -> int | None:
    """Octets of a file on this machine; None where that is no regular file."""
    try:
        return os.stat(name).st_size if os.path.isfile(name) else None  # noqa: PTH113, PTH116
    except OSError:
        return None


def opened(name: str) -> BinaryIO | None:
    """The stream of a URL, None for any other name.

    Raises CaptureError where it cannot be opened, MachineError where the library that could is missing.
    """
    if not is_url(name):
        if os.path.isdir(name):  # noqa: PTH112
            raise CaptureError("captures in this folder", "none", file=name, frame=None, offset=None)
        return None
    fsspec = _fsspec(name)
    try:
        opener = fsspec.open(name, "rb")
        stream: Any = opener.open()
    except ImportError as error:
        raise MachineError(f"{name}: {error}") from None
    except Exception as error:
        found = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        if isinstance(error, FileNotFoundError):
            found = "no such file"
        raise CaptureError("a readable capture file", found, file=name, frame=None, offset=None) from None
    # What a stream reads from, an archive for one, is closed when nobody holds its opener any more.
    with suppress(AttributeError):
        stream.opener = opener
    opened_stream: BinaryIO = stream
    return opened_stream


def _fsspec(name: str) -> Any:
    try:
        import fsspec
    except ImportError:
        raise MachineError(
            f"reading {name.partition(':')[0]}:// needs fsspec: pip install 'tioption[remote]'"
        ) from None
    return fsspec


def _in_url(url: str) -> Iterator[str]:
    """What a URL that ends in / or has * stands for; nothing where it is one file or cannot be listed."""
    fsspec = _fsspec(url)
    target, chained, rest = url.partition("::") if "://" in url.partition("::")[0] else (url, "", "")
    if "*" not in target and not target.endswith("/"):
        return
    try:
        system, path = fsspec.core.url_to_fs(url)
        pattern = "*" in path
        names = in_name_order(system.glob(path) if pattern else system.find(path))
        for name in names:
            if pattern or _may_be_capture(name, system.open(name, "rb")):
                yield system.unstrip_protocol(name) + chained + rest
    except ImportError as error:
        raise MachineError(f"{url}: {error}") from None
    except Exception:  # any library's error: opening the URL as it stands says what is wrong
        return
