"""JUnit documents, the form in which continuous integration takes reports: cases that pass, fail or are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.etree import ElementTree


class Case(NamedTuple):
    """One case; with a `message` it has failed, with `skipped` it was skipped and why."""

    classname: str
    name: str
    message: str = ""
    failure: str = ""
    output: str = ""
    skipped: str = ""


def document(name: str, suites: Mapping[str, Iterable[Case]]) -> str:
    """The document of some suites, by their names."""
    root = ElementTree.Element("testsuites", name=name)
    for title, cases in suites.items():
        made = list(cases)
        suite = ElementTree.SubElement(root, "testsuite", name=title, tests=str(len(made)))
        for case in made:
            _add(suite, case)
        suite.set("failures", str(sum(bool(case.message) for case in made)))
        skipped = sum(bool(case.skipped) for case in made)
        if skipped:
            suite.set("skipped", str(skipped))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", classname=case.classname, name=case.name)
    if case.message:
        failure = ElementTree.SubElement(element, "failure", message=case.message, type="violation")
        failure.text = case.failure
    if case.skipped:
        ElementTree.SubElement(element, "skipped", message=case.skipped)
    if case.output:
        ElementTree.SubElement(element, "system-out").text = case.output
