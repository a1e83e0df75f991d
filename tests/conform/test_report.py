"""The report of a run: what the documentation shows, rows, JUnit, captures."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.conform.defects import DEFECTS
from tests.conform.hosts import run_of, service
from tests.test_documentation import blocks
from tioption.capture import Capture
from tioption.conform import CHECKS, Result, Verdict
from tioption.conform.report import capture, in_order, junit, lines, row_of, summary, summary_line
from tioption.rules import RULES


def results(rule: str, *only: str) -> list[Result]:
    """Of some checks against a build that breaks a rule."""
    defect = DEFECTS[rule]
    return in_order(run_of(service(defect.kind, defect.config), only=only).results)


def test_the_listing_of_the_reference() -> None:
    found = results("RES-05", "RES-08", "RES-04", "RES-05")
    row = summary(found, "192.0.2.7", 7, "flow-d")
    text = "".join(map(lines, found)) + summary_line(row)
    assert any(block.partition("\n")[2] == text for block in blocks("docs/reference/cli.md", "console"))


def test_lines() -> None:
    (failed,) = results("RES-05", "RES-05")
    assert lines(failed, colour=True).startswith("\x1b[1;31mFAIL\x1b[0m  RES-05  ")
    skipped = Result("RES-05", "a title", Verdict.NOT_APPLICABLE, reason="a reason")
    assert lines(skipped) == "n/a   RES-05  a title\n        a reason\n"


def test_rows() -> None:
    failed, passed = results("EST-05", "EST-05", "LEG-02")
    row = row_of(failed, "x/EST-05.pcap")
    assert row["expected"] != row["found"]
    assert (row["rule"], row["verdict"], row["severity"]) == ("EST-05", "fail", "violation")
    assert (row["reason"], row["capture"]) == (None, "x/EST-05.pcap")
    assert row_of(passed, None)["verdict"] == "pass"
    assert summary([failed, passed], "h", 7, "flow-d") == {
        "type": "summary",
        "host": "h",
        "port": 7,
        "variant": "flow-d",
        "checks": 2,
        "pass": 1,
        "fail": 1,
        "not-applicable": 0,
    }


def test_junit() -> None:
    (suite,) = ElementTree.fromstring(junit(results("RES-05", "RES-04", "RES-05", "CTL-03"), "h:7"))
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "h:7",
        "3",
        "1",
        "1",
    )
    passed, failed, skipped = suite
    assert passed.get("name", "").startswith("RES-04 ")
    assert [*passed] == []
    assert failed[0].tag == "failure"
    assert RULES["RES-05"].text in (failed[0].text or "")
    assert (skipped[0].tag, skipped[0].get("message")) == ("skipped", "only for flow-c: --variant flow-c")


def test_captures_are_read_back(tmp_path: Path) -> None:
    for result in run_of(service()).results:
        path = tmp_path / "x.pcap"
        path.write_bytes(capture(result))
        with Capture(str(path)) as read:
            records = [(one.time_ns, bytes(one.data)) for one in read.records()]
        assert records == list(result.packets)
        assert bool(records) is (result.rule != "CTL-03")


def test_every_title_is_one_sentence() -> None:
    for check in CHECKS.values():
        assert check.title[0].isupper()
        assert "\n" not in check.title
        assert ". " not in check.title
