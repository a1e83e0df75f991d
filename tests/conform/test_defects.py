"""Our own endpoint passes every check; a build of it that breaks one rule fails the check of that rule alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conform.defects import DEFECTS
from tests.conform.hosts import CONFIG, TESTED_6, TESTER_6, run_of, service, verdicts
from tioption.conform import CHECKS, UNTESTABLE, Verdict
from tioption.option import Kinds, Variant
from tioption.rules import RULES


def test_every_rule_has_a_check_or_a_reason() -> None:
    assert set(CHECKS) | set(UNTESTABLE) == set(RULES)
    assert not set(CHECKS) & set(UNTESTABLE)


def test_every_check_has_a_defect_that_it_finds() -> None:
    assert set(DEFECTS) == set(CHECKS)


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("latency", [0, 10_000_000, 150_000_000])
def test_our_own_endpoint_passes(variant: Variant, latency: int) -> None:
    run = run_of(service(variant=variant), variant=variant, latency=latency)
    found = verdicts(run.results)
    assert found[Verdict.FAIL] == []
    assert found[Verdict.NOT_APPLICABLE] == (["CTL-03"] if variant is Variant.FLOW_D else [])


def test_over_ipv6_and_with_other_kinds() -> None:
    kinds = Kinds(77, 78)
    host = service(config=replace(CONFIG, kinds=kinds), address=TESTED_6)
    found = verdicts(run_of(host, local=TESTER_6, remote=TESTED_6, kinds=kinds).results)
    assert found[Verdict.FAIL] == []
    assert found[Verdict.NOT_APPLICABLE] == ["CTL-03"]


@pytest.mark.parametrize("rule", CHECKS)
def test_a_build_that_breaks_a_rule_fails_there_and_nowhere_else(rule: str) -> None:
    defect = DEFECTS[rule]
    run = run_of(service(defect.kind, defect.config, defect.variant), variant=defect.variant)
    assert run.unreachable is None
    assert len(run.results) == len(CHECKS)
    assert verdicts(run.results)[Verdict.FAIL] == [rule]
    (failed,) = (result for result in run.results if result.verdict is Verdict.FAIL)
    assert failed.expected
    assert failed.found
