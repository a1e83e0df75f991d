"""Write the generated files, or with `--check` say which of them no longer match the definition (exit status 1)."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from tioption.dissect import plugin, profile
from tioption.generate import (
    conform_page,
    handshake_page,
    middleboxes_page,
    option_page,
    python_layout,
    rules_page,
    tcpdump_cases,
    wireshark_page,
)

ROOT = Path(__file__).resolve().parents[2]


def _made(text: str) -> Callable[[], str]:
    return lambda: text


TARGETS: dict[str, Callable[[], str]] = {
    "tioption/layout.py": python_layout.render,
    "docs/reference/option-layout.md": option_page.render,
    "docs/reference/rules.md": rules_page.render,
    "docs/reference/handshake.md": handshake_page.render,
    "docs/reference/middleboxes.md": middleboxes_page.render,
    "docs/reference/conform.md": conform_page.render,
    "dissectors/tcpdump/tcpdump-4.99.patch": tcpdump_cases.render_for("4.99"),
    "dissectors/tcpdump/tcpdump-master.patch": tcpdump_cases.render_for("master"),
    "docs/reference/wireshark.md": wireshark_page.render,
    "dissectors/wireshark/tiflow.lua": plugin.render,
    **{f"dissectors/wireshark/profile/{profile.NAME}/{name}": _made(text) for name, text in profile.render().items()},
}


def drifted(root: Path = ROOT) -> list[str]:
    """A unified diff for each file under `root` that is not what its generator makes."""
    diffs = []
    for name, render in TARGETS.items():
        path = root / name
        committed = path.read_text() if path.exists() else ""
        made = render()
        if committed != made:
            lines = difflib.unified_diff(
                committed.splitlines(keepends=True), made.splitlines(keepends=True), name, f"{name} (generated)"
            )
            diffs.append("".join(lines))
    return diffs


def main(arguments: list[str]) -> int:
    """Run as `python -m tioption.generate [--check]`; returns the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tioption.generate [--check]\n")
        return 2
    if arguments:
        diffs = drifted()
        sys.stdout.writelines(diffs)
        sys.stdout.write(f"{len(TARGETS)} generated files checked, {len(diffs)} out of date\n")
        return 1 if diffs else 0
    for name, render in TARGETS.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render())
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
