"""What a person sees: lines on a terminal and in a log, the page, the tables of numbers."""

import csv
import io
import re

import pytest

from phasekit.batch.page import numbers
from phasekit.batch.page.table import write_page
from phasekit.batch.rows.live import Lines


class Terminal(io.StringIO):
    def isatty(self):
        return True


DONE = {"status": "ok", "seconds": 1.5, "why": ["input scan.h5 changed"], "error": None}


def test_a_log_gets_a_plain_line_for_each_row_with_its_reason_and_the_time_left():
    stream = io.StringIO()
    with Lines(3, 1, show=True, stream=stream) as lines:
        lines.start(0, "scan_001")
        lines.end(0, "scan_001", DONE)
        lines.end(0, "scan_002", {**DONE, "skipped": True})
        lines.end(0, "x" * 60 + "_003", {"status": "failed", "error": "cell 1: ValueError: bad", "seconds": 2})
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\[1/3\] ok +scan_001 1.5 s \(input scan.h5 changed\)  \d+ s left", first)
    assert second.startswith("[3/3] failed")
    assert second.endswith("xxx_003 2 s cell 1: ValueError: bad")
    assert len(second) < 100


def test_a_terminal_gets_a_line_for_each_worker_and_a_total():
    stream = Terminal()
    with Lines(4, 2, show=True, stream=stream) as lines:
        lines.start(0, "scan_001")
        lines.start(1, "scan_002")
        lines.refresh()
        lines.end(0, "scan_001", DONE)
        lines.refresh()
    text = stream.getvalue()
    assert all(part in text for part in ("scan_001", "scan_002", "1/4", "left"))


def test_nothing_is_written_unless_asked_for(capfd):
    with Lines(2, 1, show=False) as lines:
        lines.start(0, "a")
        lines.end(0, "a", DONE)
        lines.tell("a word")
        lines.refresh()
    assert capfd.readouterr() == ("", "")


def test_the_page_shows_failures_first_and_works_without_scripts_and_network(batch, tmp_path):
    batch({"seed": 1}, {"seed": 13}, {"seed": 2})
    text = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert re.findall(r'<tr class="(\w+)"', text) == ["failed", "ok", "ok"]
    assert re.findall(r'<th scope="row">([^<]+)<', text) == ["row 1", "row 0", "row 2"]
    assert "2 of 3 runs ended well; 1 failed" in text
    assert "run because: not run yet" in text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    for link in re.findall(r'href="(row[^"]+)"', text):
        assert (tmp_path / "out" / link.replace("%20", " ")).is_file(), link


def test_rows_that_are_not_asked_for_now_stay_on_the_page(batch, tmp_path):
    batch({"seed": 1}, {"seed": 13}, {"seed": 2})
    batch({"seed": 1})
    text = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert "2 of 3 runs ended well; 1 failed" in text
    assert "row 1" in (tmp_path / "out/numbers.csv").read_text(encoding="utf-8")


def test_a_row_s_words_are_escaped(tmp_path):
    record = {"status": '"><script>', "error": "<b>&", "workflow": "<i>", "numbers": {"<k>": "<1>"}}
    text = write_page(tmp_path, {"<a> 'b'": record}).read_text(encoding="utf-8")
    assert not re.findall(r"<(?:b|i|k|a)>|\"><script>", text)


def test_the_table_has_a_line_for_each_number_and_for_each_row_without(batch, tmp_path):
    batch({"seed": 1}, {"seed": 13})
    with (tmp_path / "out/numbers.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["number"], line["value"], line["unit"]) for line in lines] == [
        ("row 0", "map", "", ""),
        ("row 0", "ok", "75.0", "% of pixels"),
        ("row 1", "", "", ""),
    ]
    assert lines[2]["error"].endswith("an unlucky seed")


@pytest.mark.parametrize("there", [True, False])
def test_parquet_is_written_where_pyarrow_is(tmp_path, monkeypatch, there):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(numbers, "find_spec", lambda name: object() if there else None)
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", lambda table, path: path.write_bytes(b"PAR1"))
    written = [path.name for path in numbers.write_tables(tmp_path, {"a": {"status": "ok"}})]
    assert written == (["numbers.csv", "numbers.parquet"] if there else ["numbers.csv"])


def test_a_crash_is_tried_again_with_a_reason_and_an_error_is_not(batch, writer, tmp_path):
    writer.crashes["row 0"] = 1
    names, outcome = batch({"seed": 1}, {"seed": 13}, retries=2)
    assert names == ["row 0", "row 0", "row 1"]
    assert "tried again: its kernel was killed or crashed" in outcome.records[0]["why"]
    writer.crashes["row 0"] = 5
    names, outcome = batch({"seed": 2}, retries=2)
    assert names == ["row 0"] * 3
    assert outcome.records[0]["error"] == "its kernel was killed or crashed"


def test_a_missing_file_fails_without_a_worker(batch):
    names, outcome = batch({"input_path": "/nowhere/scan.h5"})
    assert names == []
    assert "found no such file for input_path" in outcome.records[0]["error"]


def test_a_thousand_rows_that_are_done_are_looked_through_in_seconds(batch, tmp_path):
    rows = [{"seed": 20 + number} for number in range(1000)]
    batch(*rows, workers=2)
    names, outcome = batch(*rows, workers=2)
    assert (names, outcome.exit_code) == ([], 0)
    assert "1000 done before" in outcome.summarise()
