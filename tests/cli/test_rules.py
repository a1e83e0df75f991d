"""`tiopt rules`: all rules, some in full, and as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conftest import Outcome, tiopt_process
from tioption.rules import RULES, Where

Run = Callable[..., Outcome]


def test_all_rules_are_one_line_each_in_order(tiopt: Run) -> None:
    status, out, err = tiopt("rules")
    assert (status, err) == (0, "")
    lines = [line.split(None, 2) for line in out.splitlines()]
    assert [line[0] for line in lines] == list(RULES)
    assert [line[2] for line in lines] == [rule.text for rule in RULES.values()]
    assert [line[1] for line in lines] == [
        "endpoint" if rule.severity is None else rule.severity.value for rule in RULES.values()
    ]


def test_a_rule_in_full(tiopt: Run) -> None:
    rule = RULES["EST-05"]
    lines = tiopt("rules", "EST-05").out.splitlines()
    assert lines[:5] == [
        f"EST-05  {rule.text}",
        "  source    §III.A",
        "  severity  violation",
        "  where     wire",
        f"  seen      {rule.seen}",
    ]
    right, wrong = "\n".join(lines[5:]).split("  wrong: ")
    assert right.startswith("\n  right: ")
    assert "<-" not in right
    assert [line.split()[0] for line in wrong.splitlines() if line.endswith("<- EST-05")] == ["2"]


def test_a_rule_that_no_capture_shows(tiopt: Run) -> None:
    lines = tiopt("rules", "EST-08").out.splitlines()
    assert lines[2:] == ["  severity  none: only an endpoint can be tested", "  where     endpoint"]


def test_several_rules_come_as_asked_for_each_once(tiopt: Run) -> None:
    status, out, _ = tiopt("rules", "res-04", "OPT-01", "Res-04")
    assert status == 0
    starts = [line.split()[0] for line in out.splitlines() if line and not line.startswith(" ")]
    assert starts == ["RES-04", "OPT-01"]


@pytest.mark.parametrize("identifier", RULES)
def test_every_rule_can_be_asked_for(identifier: str, tiopt: Run) -> None:
    status, out, _ = tiopt("rules", identifier.lower())
    assert status == 0
    assert RULES[identifier].text in out
    assert RULES[identifier].source in out
    assert RULES[identifier].seen in out
    assert ("right:" in out) == ("wrong:" in out) == (RULES[identifier].where is Where.WIRE)


def test_json_lines_have_the_keys_scripts_depend_on(tiopt: Run) -> None:
    rows = [json.loads(line) for line in tiopt("rules", "--format", "json").out.splitlines()]
    assert [row["id"] for row in rows] == list(RULES)
    for row in rows:
        assert list(row) == ["id", "severity", "text", "source", "where"]
    assert {row["severity"] for row in rows} == {"violation", "warning", "note", None}
    assert {row["where"] for row in rows} == {where.value for where in Where}


def test_json_of_some(tiopt: Run) -> None:
    (row,) = map(json.loads, tiopt("rules", "-f", "json", "est-16").out.splitlines())
    assert (row["id"], row["severity"], row["where"]) == ("EST-16", None, "endpoint")


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("EST-17", "no rule 'EST-17': the nearest are RES-17, EST-16, EST-15\n"),
        ("opt1", "OPT-11"),
        ("OTP-03", "OPT-03"),
        ("", "no rule '': tiopt rules lists all of them"),
        ("?", "tiopt rules lists all of them"),
    ],
)
def test_an_unknown_rule_is_wrong_usage_and_the_nearest_are_named(word: str, complaint: str, tiopt: Run) -> None:
    status, out, err = tiopt("rules", "EST-01", word)
    assert (status, out) == (2, "")
    assert err.startswith("tiopt rules: no rule ")
    assert complaint in err


def test_output_that_knows_no_section_sign() -> None:
    done = tiopt_process("rules", "EST-05", env={"PYTHONIOENCODING": "ascii"})
    assert (done.status, done.err) == (0, "")
    assert r"\xa7III.A" in done.out
    done = tiopt_process("rules", "EST-05", "--format", "json", env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(done.out)["source"] == "§III.A"
