"""`read_table` and `read_batches` as a notebook's user calls them."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tioption
from tests.conftest import ROOT
from tioption import CaptureError, Kinds, read_batches, read_table
from tioption.columns import table

TRACE2 = ROOT / "pcaps/trace2/trace2.pcap"
RESUME = ROOT / "pcaps/resume/resume.pcap"
TIFIDS = [0x0A4530000000, 0x0A4530BE79BF, 0x0A4530BE79BF]


def cut(tmp_path: Path) -> Path:
    """A capture that is damaged in its last frame."""
    path = tmp_path / "cut.pcap"
    path.write_bytes(TRACE2.read_bytes()[:-3])
    return path


def test_one_capture() -> None:
    rows = read_table(TRACE2)
    assert rows.tifid.tolist() == TIFIDS
    assert rows[rows.tiack != 0].frame.tolist() == [2, 3]
    assert rows[rows["flags"] == 0x02].tiseq.tolist() == [0x1D]
    assert read_table(str(TRACE2)).tobytes() == rows.tobytes()


def test_several_captures_are_told_apart() -> None:
    rows = read_table([TRACE2, RESUME])
    assert rows[rows.file == 0].tifid.tolist() == TIFIDS
    assert set(rows.file) == {0, 1}
    names = read_table([TRACE2, RESUME], as_="arrow").column("file").to_pylist()
    assert [names[0], names[-1]] == [str(TRACE2), str(RESUME)]
    assert len(read_table([])) == 0
    assert read_table([], as_="arrow").num_rows == 0


def test_every_segment() -> None:
    with tioption.Capture(str(RESUME)) as capture:
        assert len(read_table(RESUME, all=True)) == len(list(capture.segments()))
    assert (read_table(RESUME, all=True).variant == "").any()


def test_other_kinds() -> None:
    assert len(read_table(TRACE2, kinds=Kinds(77, 78))) == 0


def test_batches_are_the_table() -> None:
    pieces = list(read_batches([TRACE2, RESUME]))
    assert len(pieces) == 2
    assert np.concatenate(pieces).tobytes() == read_table([TRACE2, RESUME]).tobytes()
    tables = list(read_batches([TRACE2, RESUME], as_="arrow"))
    assert pa.concat_tables(tables) == read_table([TRACE2, RESUME], as_="arrow")


@pytest.mark.parametrize("form", ["pandas", "polars"])
@pytest.mark.parametrize("every", [False, True])
def test_data_frames(form: Any, every: bool) -> None:
    if find_spec(form) is None:
        pytest.skip(f"{form} is not installed")
    frame = read_table(RESUME, all=every, as_=form)
    arrow = read_table(RESUME, all=every, as_="arrow")
    assert list(frame.columns) == arrow.column_names
    missing = arrow.column("tiseq").null_count
    assert missing == (frame["tiseq"].isna().sum() if form == "pandas" else frame["tiseq"].null_count())
    assert (missing > 0) == every
    numbers = frame["tiseq"].dropna() if form == "pandas" else frame["tiseq"].drop_nulls()
    assert numbers.to_list() == arrow.column("tiseq").drop_null().to_pylist()
    assert str(numbers.dtype).lower() == "uint64"


class TestDamage:
    def test_a_table_comes_with_the_error(self, tmp_path: Path) -> None:
        with pytest.raises(CaptureError, match="frame 3") as error:
            read_table([cut(tmp_path), TRACE2, tmp_path / "nothing"])
        assert error.value.table.tifid.tolist() == TIFIDS[:2] + TIFIDS
        assert ["no such file" in note for note in error.value.__notes__] == [True]

    @pytest.mark.parametrize("form", ["numpy", "arrow"])
    def test_batches_come_before_the_error(self, tmp_path: Path, form: Any) -> None:
        pieces = read_batches([cut(tmp_path), TRACE2], as_=form)
        assert [len(next(pieces)), len(next(pieces))] == [2, 3]
        with pytest.raises(CaptureError, match="frame 3"):
            next(pieces)

    def test_an_error_elsewhere_has_no_table(self) -> None:
        with pytest.raises(CaptureError) as error, tioption.Capture("/nonexistent"):
            pass
        assert error.value.table is None


class TestMissing:
    @pytest.mark.parametrize(
        ("form", "missing", "fix"),
        [
            ("arrow", "pyarrow", r"as_=\"arrow\" needs pyarrow: pip install 'tioption\[parquet\]'"),
            ("pandas", "pandas", 'as_="pandas" needs pandas: pip install pandas'),
            ("polars", "polars", 'as_="polars" needs polars: pip install polars'),
        ],
    )
    def test_the_error_says_what_to_install(
        self, form: Any, missing: str, fix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(table, "find_spec", lambda name: None if name == missing else object())
        with pytest.raises(ImportError, match=fix):
            read_table(TRACE2, as_=form)

    def test_numpy_itself(self) -> None:
        code = "import sys; sys.modules['numpy'] = None; from tioption import read_table"
        run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert "ImportError: columns need numpy: pip install 'tioption[columns]'" in run.stderr

    def test_no_such_form(self) -> None:
        form: Any = "excel"
        with pytest.raises(ValueError, match="found 'excel'"):
            read_batches(TRACE2, as_=form)


def test_the_rest_of_the_package_goes_without_numpy() -> None:
    code = (
        "import sys, tioption.cli; tioption.cli.main(['decode', sys.argv[1], '--format', sys.argv[2]]);"
        "sys.exit('numpy' in sys.modules)"
    )
    for form in ("text", "json", "csv"):
        subprocess.run([sys.executable, "-c", code, TRACE2, form], check=True, capture_output=True)
