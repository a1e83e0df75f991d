"""`tiopt wireshark`: the plugin for Wireshark generated, installed, and held against our own decoder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tioption.cli.declare import (
    KIND_OPTIONS,
    Argument,
    Command,
    Flag,
    Group,
    MachineError,
    Option,
    UsageError,
    chosen_kinds,
)


@contextmanager
def _this_machine() -> Iterator[None]:
    """What Wireshark on this machine cannot do is told as such; a file in the way is for the user to move."""
    from tioption.dissect.install import ForeignFileError
    from tioption.dissect.tshark import WiresharkError

    try:
        yield
    except WiresharkError as error:
        raise MachineError(str(error)) from None
    except ForeignFileError as error:
        raise UsageError(str(error)) from None


def _generate(output: str | None, check: str | None, kind_d: int, kind_c: int) -> int:
    """Write the plugin, or compare a file with it."""
    from tioption.dissect import plugin

    if output is not None and check is not None:
        raise UsageError("--check compares and writes nothing: leave -o out")
    text = plugin.render(chosen_kinds(kind_d, kind_c))
    if check is not None:
        return _compare(check, text)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"-o {output}: {(error.strerror or str(error)).lower()}") from None
    return 0


def _compare(file: str, text: str) -> int:
    from difflib import unified_diff

    try:
        found = Path(file).read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--check {file}: {(error.strerror or str(error)).lower()}") from None
    lines = unified_diff(
        found.splitlines(keepends=True), text.splitlines(keepends=True), file, f"{file} (as generated)"
    )
    diff = "".join(lines)
    sys.stdout.write(diff)
    return 1 if diff else 0


def _install(globally: bool, no_profile: bool, kind_d: int, kind_c: int) -> int:
    """Put plugin and profile where Wireshark finds them."""
    kinds = chosen_kinds(kind_d, kind_c)
    with _this_machine():
        from tioption.dissect import install
        from tioption.dissect.tshark import Tshark

        tshark = Tshark.find()
        done = install.install(tshark, _scope(globally), kinds, with_profile=not no_profile)
    for path in done.written:
        sys.stdout.write(f"wrote {path}\n")
    if not done.written:
        sys.stdout.write("nothing to do: all is there and current\n")
    if done.loads is None:
        sys.stderr.write(f"tiopt: {_root_remark(tshark.version)}\n")
    else:
        sys.stdout.write(f"tshark {tshark.version} loads it\n")
    return 0


def _root_remark(version: str) -> str:
    return (
        f"Wireshark {version} ignores the personal plugins of root, and says nothing about it: "
        "install with --global, or run Wireshark as an ordinary user"
    )


def _uninstall(globally: bool) -> int:
    """Take away what was installed."""
    with _this_machine():
        from tioption.dissect import install
        from tioption.dissect.tshark import Tshark

        done = install.uninstall(Tshark.find(), _scope(globally))
    for path in done.files:
        sys.stdout.write(f"removed {path}\n")
    if not done.files:
        sys.stdout.write("nothing to do: nothing of ours is there\n")
    if done.kept:
        raise UsageError(f"not written by tiopt, or changed since, and left alone: {', '.join(map(str, done.kept))}")
    return 0


def _scope(globally: bool) -> str:
    return "global" if globally else "personal"


def _status(format: str) -> int:  # noqa: A002
    """Say what is installed where."""
    with _this_machine():
        from tioption.dissect import install
        from tioption.dissect.tshark import Tshark

        found = install.status(Tshark.find())
    if format == "json":
        from json import dumps

        sys.stdout.write(dumps(found) + "\n")
        return 0
    sys.stdout.write(f"tshark {found['version']} ({found['tshark']}), Lua {found['lua']}\n")
    for scope in ("personal", "global"):
        for what in ("plugin", "profile"):
            entry = found[scope][what]
            sys.stdout.write(f"{scope:8}  {what:7}  {_described(entry)}  {entry['path']}\n")
    if found["complaint"]:
        sys.stdout.write(f"{found['complaint']}\n")
    if found["root"] and found["ignores_root"]:
        sys.stdout.write(f"{_root_remark(found['version'])}\n")
    return 0


def _described(entry: dict[str, Any]) -> str:
    words = [entry["state"]]
    if entry.get("kinds") not in (None, [253, 254]):
        words.append("kinds {} and {}".format(*entry["kinds"]))
    if entry.get("loads") is not None:
        words.append("loads" if entry["loads"] else "does not load")
    return ", ".join(words)


def _check(files: list[str], format: str, plugin: str | None, kind_d: int, kind_c: int) -> int:  # noqa: A002
    """Hold Wireshark's decode against ours."""
    kinds = chosen_kinds(kind_d, kind_c)
    if "-" in files:
        raise UsageError("a capture is read twice here, by tshark and by tiopt: name a file instead of -")
    text = _plugin_text(plugin, kinds)
    with _this_machine():
        from tioption.dissect.crosscheck import Tally, differences
        from tioption.dissect.tshark import Tshark, bench
        from tioption.errors import CaptureError

        tally = Tally()
        found, failed = 0, False
        with bench(Tshark.find(), text) as tshark:
            for file in files:
                try:
                    for difference in differences(file, tshark, kinds, tally):
                        found += 1
                        _write_difference(difference, format)
                except CaptureError as error:
                    failed = True
                    sys.stdout.flush()
                    sys.stderr.write(f"tiopt: {error}\n")
            version = tshark.tshark.version
    _write_sum(found, tally, version, format)
    return 3 if failed else int(found > 0)


def _plugin_text(plugin: str | None, kinds: Any) -> str:
    if plugin is None:
        from tioption.dissect.plugin import render

        return render(kinds)
    try:
        return Path(plugin).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"--plugin {plugin}: {reason.lower()}") from None


def _write_difference(difference: Any, form: str) -> None:
    if form == "json":
        from json import dumps

        sys.stdout.write(dumps({"type": "difference", **difference._asdict()}) + "\n")
        return
    file, frame, field, ours, theirs = difference
    sys.stdout.write(f"{file}: frame {frame}: {field}: ours {ours}, Wireshark's {theirs}\n")


def _write_sum(found: int, tally: Any, version: str, form: str) -> None:
    if form == "json":
        from json import dumps

        row = {"type": "summary", "tshark": version, "segments": tally.segments, "values": tally.values}
        sys.stdout.write(dumps({**row, "differences": found}) + "\n")
        return
    counts = ((tally.segments, "segment"), (tally.values, "value"), (found, "difference"))
    segments, values, differences = (f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    sys.stdout.write(
        f"{segments} with a flow option or a finding, {values} compared with tshark {version}: {differences}\n"
    )


_GLOBAL = Flag("globally", ("--global",), "For everybody on this machine (needs root), not only for you.")
_FORMAT = Option("format", ("--format", "-f"), "How to print.", default="text", choices=("text", "json"))

COMMAND = Group(
    "wireshark",
    "Generate, install and check the plugin for Wireshark.",
    (
        Command(
            "generate",
            "Write the plugin.",
            "Write the Lua plugin for Wireshark and tshark. It is one file that depends on nothing; kinds other than "
            "the default ones become the defaults of its preferences.",
            (
                "tiopt wireshark generate -o tiflow.lua",
                "tiopt wireshark generate --kind-d 77 --kind-c 78 > tiflow.lua",
                "tiopt wireshark generate --check tiflow.lua",
            ),
            None,
            (
                Option("output", ("-o", "--output"), "Write to this file instead of standard output.", "FILE"),
                Option("check", ("--check",), "Print how this file differs (exit status 1 if it does).", "FILE"),
                *KIND_OPTIONS,
            ),
            _generate,
        ),
        Command(
            "install",
            "Install plugin and profile.",
            "Install the plugin, and the profile TI-flow, where Wireshark looks for them, and see that they load. What "
            "is there and current is not touched, an older version is replaced, a file that is not ours is left alone. "
            "From 4.2 on Wireshark ignores personal plugins of root: --global is for that.",
            ("tiopt wireshark install", "tiopt wireshark install --global", "tiopt wireshark install --kind-d 77"),
            None,
            (
                _GLOBAL,
                Flag("no_profile", ("--no-profile",), "Install the plugin alone."),
                *KIND_OPTIONS,
            ),
            _install,
        ),
        Command(
            "uninstall",
            "Remove plugin and profile.",
            "Remove what `tiopt wireshark install` put there, and the folders it made if they are empty.",
            ("tiopt wireshark uninstall", "tiopt wireshark uninstall --global"),
            None,
            (_GLOBAL,),
            _uninstall,
        ),
        Command(
            "status",
            "Say what is installed where.",
            "Say which tshark this machine has, where plugin and profile are, whether they are current and load.",
            ("tiopt wireshark status", "tiopt wireshark status --format json"),
            None,
            (_FORMAT,),
            _status,
        ),
        Command(
            "check",
            "Hold Wireshark's decode against ours.",
            "Read captures with tshark through the plugin and with tiopt, and list every field in which they differ: "
            "variant, TIFID and its halves, TISeq, TIAck, rules, and the header of each segment with a flow option. "
            "Nothing needs to be installed. The exit status is 1 where they differ.",
            (
                "tiopt wireshark check capture.pcap",
                "tiopt wireshark check --plugin changed.lua *.pcapng",
                "tiopt wireshark check --format json capture.pcap",
            ),
            Argument("files", "FILE", "Capture files."),
            (
                _FORMAT,
                Option("plugin", ("--plugin",), "Use this plugin instead of the one generated.", "FILE"),
                *KIND_OPTIONS,
            ),
            _check,
        ),
    ),
)
