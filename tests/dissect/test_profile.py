"""The profile in real tshark: its columns hold what they are called, and it names no field that is not there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.dissect.wireshark import Tshark, tshark
from tioption.dissect import profile
from tioption.dissect.definition import FIELDS_BY_NAME

FOLDER = ROOT / "dissectors/wireshark/profile" / profile.NAME


@pytest.fixture(scope="module")
def shark() -> Iterator[Tshark]:
    with tshark((ROOT / "dissectors/wireshark/tiflow.lua").read_text()) as made:
        (folder,) = (line.partition(":")[2].strip() for line in made.report("folders") if "Personal config" in line)
        shutil.copytree(FOLDER, f"{folder}/profiles/{profile.NAME}")
        made.capture((ROOT / "pcaps/resume/resume.pcap").read_bytes())
        yield made


def test_tshark_takes_it_and_prints_its_columns(shark: Tshark) -> None:
    printed = shark.run("-C", profile.NAME, "-2", "-r", shark.home / "x.pcap").splitlines()
    # Frame 14 is the first data of the second transport: flow 0, transport 2, position 600 of A's stream.
    assert re.search(r" TCP 0 2 600 466 33019 . 7777 ", printed[13])
    assert " TI-flow 0 1 " in printed[1]


@pytest.mark.parametrize("text", [one.filter for one in profile.COLOURS] + [text for _, text, _ in profile.BUTTONS])
def test_each_of_its_filters_is_one(shark: Tshark, text: str) -> None:
    printed = shark.run("-r", shark.home / "x.pcap", "-Y", text)
    assert bool(printed) is ("violation" not in text)


def test_its_colours_match_the_packets(shark: Tshark) -> None:
    how = ["-T", "fields", "-e", "frame.coloring_rule.name"]
    names = shark.run("-C", profile.NAME, "--color", "-2", "-r", shark.home / "x.pcap", *how).splitlines()
    assert [name.strip("\x1b[0m") and re.sub(r"\x1b\[[0-9;]*m", "", name) for name in names] == [
        *("TI-flow warning", "TI-flow warning", "TI-flow handshake"),
        *["TI-flow"] * 7,
        *["TI-flow resume"] * 3,
        *["TI-flow, resumed transport"] * 6,
    ]


def test_files_name_only_fields_of_the_plugin() -> None:
    for text in profile.render().values():
        named = set(re.findall(r"tiflow\.([a-z_.]+[a-z])", text))
        assert named <= set(FIELDS_BY_NAME)
    with pytest.raises(KeyError):
        profile.field("no-such-field")


def test_quotes_in_a_filter_are_written_as_wireshark_reads_them() -> None:
    assert r"tiflow.severity == \x22violation\x22" in profile.render()["dfilter_buttons"]
