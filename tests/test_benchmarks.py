"""The benchmarks keep the house rules, can be imported, and make the pages that are stored beside their numbers."""

import doctest
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import (
    StepClock,
    compute_code_state,
    format_machine,
    markdown_table,
    peer_environment,
    read_json,
    run_if_missing,
    run_module,
    run_tasks,
    save_report,
    write_json,
)
from benchmarks.harness import environments as harness_environments
from benchmarks.harness.provenance import list_sources

from .test_house_rules import code_lines, functions
from .tree import ROOT, tracked

MODULES = tracked("benchmarks", "*.py")
NAMES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
NEEDS_ITS_PEER = ("benchmarks.stxm.run_mantis",)
PAGES = {"acom": "report.md", "nmf": "README.md", "stxm": "report.md"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_fit_on_a_screen(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert not {node.name: code_lines(path, node) for node in functions(path) if code_lines(path, node) > 40}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEEDS_ITS_PEER])
def test_modules_can_be_imported(name):
    importlib.import_module(name)


@pytest.mark.parametrize("benchmark", PAGES)
def test_stored_numbers_make_the_stored_page(benchmark):
    folder = ROOT / "benchmarks" / benchmark / "report"
    results = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    lines = importlib.import_module(f"benchmarks.{benchmark}.report").compose_report(results)
    assert "\n".join(lines) + "\n" == (folder / PAGES[benchmark]).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["strangers", "crystals"])
def test_stored_numbers_make_the_stored_page_of_the_strangers(page):
    stored = ROOT / "benchmarks" / "nmf" / "report" / page
    results = json.loads(stored.with_suffix(".json").read_text(encoding="utf-8"))
    lines = importlib.import_module(f"benchmarks.nmf.report_{page}").compose_page(results)
    assert "\n".join(lines) + "\n" == stored.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["faults", "overhead"])
def test_stored_numbers_make_the_stored_pages_of_batches(page):
    stored = ROOT / "benchmarks" / "batch" / "report" / page
    results = json.loads(stored.with_suffix(".json").read_text(encoding="utf-8"))
    lines = getattr(importlib.import_module("benchmarks.batch.report"), f"compose_{page}")(results)
    assert "\n".join(lines) + "\n" == stored.with_suffix(".md").read_text(encoding="utf-8")


def test_every_source_behind_a_result_exists():
    nmf, stxm = (importlib.import_module(f"benchmarks.{name}.common") for name in ("nmf", "stxm"))
    sources = list_sources("stxm", stxm.SCRIPTS, stxm.PARTS)
    sources += list_sources("nmf", ("common.py",), (*nmf.OWN_PARTS, *nmf.DATA_PARTS))
    assert not [path for path in sources if not path.is_file()]


def test_the_code_state_changes_with_the_scripts():
    some, more = (compute_code_state("nmf", scripts, ("schema",)) for scripts in (["data.py"], ["data.py", "fits.py"]))
    assert len(some) == 8
    assert some != more
    assert some == compute_code_state("nmf", ["data.py"], ("schema",))


def test_a_result_is_written_whole_and_read_again(tmp_path):
    path = tmp_path / "new" / "result.json"
    assert read_json(path) == {}
    write_json(path, {"share": 0.5})
    assert read_json(path) == {"share": 0.5}
    assert [one.name for one in path.parent.iterdir()] == ["result.json"]


def test_a_module_runs_with_the_threads_it_is_given():
    printed = run_module(
        "timeit", "-n", 1, "-r", 1, "import os; print('threads', os.environ['OMP_NUM_THREADS'])", threads=3
    )
    assert printed.startswith("threads 3\n")


def test_a_module_that_fails_ends_the_benchmark():
    with pytest.raises(SystemExit, match=r"(?s)timeit .* failed:.*ZeroDivisionError"):
        run_module("timeit", "-n", 1, "1 / 0")


def test_what_is_there_is_not_run_again(tmp_path):
    result = tmp_path / "result.json"
    write_json(result, {"complete": False})
    run_if_missing(result, "no_such_module")
    with pytest.raises(SystemExit, match="no_such_module failed"):
        run_if_missing(result, "no_such_module", is_complete=lambda path: read_json(path)["complete"])


def test_all_tasks_are_run_and_their_errors_seen():
    done = []
    run_tasks([lambda: done.append(1), lambda: done.append(2)], processes=2)
    assert sorted(done) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        run_tasks([lambda: 1 // 0], processes=1)


def test_a_complete_environment_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(harness_environments, "ENVIRONMENTS", tmp_path)
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "complete").touch()
    assert peer_environment("peer", Path("unused.txt")) == tmp_path / "peer" / "bin" / "python"


def test_a_report_is_a_page_and_its_numbers(tmp_path):
    lines = ["# Title", "", *markdown_table(["dose", "share"], [["200", "0.9"]])]
    save_report({"share": 0.9}, lines, tmp_path / "report", page="README.md")
    text = (tmp_path / "report" / "README.md").read_text(encoding="utf-8")
    assert text == "# Title\n\n| dose | share |\n|---|---|\n| 200 | 0.9 |\n"
    assert read_json(tmp_path / "report" / "report.json") == {"share": 0.9}


def test_the_examples_of_the_harness_hold():
    modules = [importlib.import_module(name) for name in NAMES if name.startswith("benchmarks.harness.")]
    outcomes = [doctest.testmod(module) for module in modules]
    assert sum(outcome.attempted for outcome in outcomes) >= 2
    assert not any(outcome.failed for outcome in outcomes)


def test_a_clock_adds_up_its_steps():
    clock = StepClock()
    clock.finish_step("one")
    clock.finish_step("two")
    assert list(clock.seconds) == ["one", "two"]
    assert clock.total == sum(clock.seconds.values())


def test_an_unknown_machine_is_left_out():
    assert format_machine({}) == []


@pytest.mark.parametrize("name", ["parallel analysis", "optimal hard threshold"])
def test_rules_for_singular_values_count_patterns_in_white_noise(name):
    rng = np.random.default_rng(1)
    rules = importlib.import_module("benchmarks.nmf.rules")
    signal = rng.gamma(1, 1, (400, 3)) @ rng.gamma(1, 1, (3, 300))
    data = (signal + rng.normal(0, 1, signal.shape)).astype(np.float32)
    assert rules.RULES[name](rules.Problem(data, list(range(1, 11)))).k == 3


def test_scans_for_the_rules_of_others_are_chosen_by_name_and_size(tmp_path):
    runner = importlib.import_module("benchmarks.nmf.run_stranger_rules")
    for name, side in zip("abcdef", (16, 96, 64, 32, 40, 64), strict=True):
        write_json(tmp_path / f"{name}.json", {"case": {"shape": [16, side]}})
    assert [path.stem for path in runner.select_scans(tmp_path, step=3, largest=64)] == ["a", "e"]


def test_a_crystal_page_counts_what_is_joined_and_what_is_called_background():
    page = importlib.import_module("benchmarks.nmf.report_crystals")
    case = {"author": "real_detectors", "condition": "gain", "electrons": 500, "shape": [16, 16]}
    counts = {at: [2, 2, 3, 2] for at in ("chosen", "truth", "interval")}  # of 5 components 2 background, 1 joined
    row = {"case": case, "exactly_linear": 1, "crystals": 4, "k": {"chosen": 5, "truth": 5, "interval": 5}}
    lines = page.compose_page({"rows": [row | {"counts": counts}], "codes": {"state": 1}, "group_cpu_s": 0.1})
    (found,) = [line for line in lines if line.startswith("| real detectors: gain")]
    assert found.endswith("| 0% | 0% | 0% | 2.0 | -2.0 | 1.0 | +1.0 |")
