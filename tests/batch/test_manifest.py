"""Many jobs: checked first, isolated from each other, resumed, and listed on one page."""

import re

import pytest

from phasekit.batch import plan_batch, read_manifest, read_record, run_manifest, write_index
from phasekit.batch.manifest.running import run_rows
from phasekit.batch.record import write_record
from phasekit.errors import ReadError, SchemaError

from .tiny import DRAW, SAVE, WRITE, notebook


@pytest.fixture
def tiny(tmp_path):
    failing = 'assert seed != 13, "an unlucky seed"'
    return notebook(tmp_path / "tiny.ipynb", SAVE, failing, DRAW, WRITE)


def manifest(tmp_path, text, suffix=".yaml"):
    path = tmp_path / f"jobs{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_json_and_csv_say_the_same(tmp_path, tiny):
    yaml = manifest(tmp_path, f"- workflow: {tiny}\n  seed: 1\n  input_path: a.nc\n- workflow: {tiny}\n  seed: 2\n")
    json = manifest(
        tmp_path,
        f'[{{"workflow": "{tiny}", "seed": 1, "input_path": "a.nc"}}, {{"workflow": "{tiny}", "seed": 2}}]',
        ".json",
    )
    csv = manifest(tmp_path, f"workflow,seed,input_path\n{tiny},1,a.nc\n{tiny},2,\n", ".csv")
    assert read_manifest(yaml) == read_manifest(json) == read_manifest(csv)
    first, second = read_manifest(csv)
    assert first.parameters == {"seed": 1, "input_path": str(tmp_path / "a.nc")}
    assert second.parameters == {"seed": 2}


@pytest.mark.parametrize("text", ["a: 1", "- 3", "- seed: 3", ": [", ""])
def test_what_is_no_list_of_jobs_is_refused(tmp_path, text):
    with pytest.raises(ReadError, match=r"jobs\.yaml"):
        read_manifest(manifest(tmp_path, text))


def test_the_whole_manifest_is_checked_before_the_first_job(tmp_path, tiny):
    path = manifest(tmp_path, f"- workflow: {tiny}\n- workflow: {tiny}\n  sead: 3\n")
    with pytest.raises(SchemaError, match=r"entry 2.*'sead' is unknown"):
        run_manifest(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_changes_with_what_is_run_and_only_then(tmp_path, tiny):
    text = f"- workflow: {tiny}\n  seed: 1\n- workflow: {tiny}\n  seed: 1\n- workflow: {tiny}\n  seed: 2\n"
    same, again, other = read_manifest(manifest(tmp_path, text))
    assert same.folder_name() == again.folder_name() != other.folder_name()
    before = same.folder_name()
    notebook(tiny, SAVE, WRITE)
    assert same.folder_name() != before


@pytest.mark.notebook
def test_one_failure_stops_nothing_and_a_second_call_runs_only_what_failed(tmp_path, tiny):
    path = manifest(tmp_path, "".join(f"- workflow: {tiny}\n  seed: {seed}\n" for seed in (1, 13, 2)))
    told = []
    records = run_manifest(path, tmp_path / "out", workers=2, report=lambda job, record: told.append(record["status"]))
    assert [record["status"] for record in records] == ["ok", "failed", "ok"]
    assert sorted(told) == ["failed", "ok", "ok"]
    assert "unlucky" in records[1]["error"]
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert page.count("<article>") == 3
    assert "2 of 3 runs ended well" in page
    assert "unlucky" in page
    again = run_manifest(path, tmp_path / "out")
    assert [a["started"] == b["started"] for a, b in zip(records, again, strict=True)] == [True, False, True]


def test_the_page_works_alone_and_describes_its_pictures(tmp_path):
    from phasekit.viz import panels, save_figure

    run = tmp_path / "a <run>"
    figure, _ = panels()
    save_figure(figure, run / "figure_1_map.png", alt='Map with "quotes" & more.')
    figures = [{"file": "figure_1_map.png", "alt": 'Map with "quotes" & more.'}]
    write_record(run, {"status": "ok", "figures": figures, "numbers": {"k": "7"}, "seconds": 1.5})
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert 'alt="Map with &quot;quotes&quot; &amp; more."' in text
    assert "a &lt;run&gt;" in text
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    for link in re.findall(r'href="([^"]+)"', text):
        assert (tmp_path / link.replace("&lt;", "<").replace("&gt;", ">")).is_file(), link


def test_no_runs_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"run\.json"):
        write_index(tmp_path)
    with pytest.raises(ReadError):
        read_record(tmp_path)


READ = "stack = pk.io.open_stxm(input_path, **reader)"
READER = (
    'input_path: str = "a.nc"\nreader: dict = {}\ncif_paths: str | list[str] = "a.cif"\nseed: int = 0\ntext: str = ""'
)


@pytest.fixture
def reading(tmp_path):
    """Notebook that passes ``reader`` to an opener."""
    return notebook(tmp_path / "reading.ipynb", READ, parameters=READER)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "- workflow: {0}\n  reader:\n    region: 1\n    step_nm: 40\n"),
        (".yaml", "- workflow: {0}\n  reader.region: 1\n  reader.step_nm: 4e1\n"),
        (".yaml", "- workflow: {0}\n  reader: {{region: 1}}\n  reader.step_nm: '40'\n"),
        (".json", '[{{"workflow": "{0}", "reader": {{"region": 1, "step_nm": 40}}}}]'),
        (".json", '[{{"workflow": "{0}", "reader.region": 1, "reader.step_nm": 40.0}}]'),
        (".csv", "workflow,reader.region,reader.step_nm,reader.entry\n{0},1,40,\n"),
        (".csv", '\ufeffworkflow,reader\n{0},"{{""region"": 1, ""step_nm"": 40}}"\n'),
        (".csv", "workflow;reader.region;reader.step_nm\r\n{0};1;40\r\n"),
        (".CSV", "workflow , reader.region,reader.step_nm\n{0},1,40\n\n"),
    ],
)
def test_a_manifest_holds_arguments_of_the_opener(tmp_path, reading, suffix, text):
    (job,) = read_manifest(manifest(tmp_path, text.format(reading), suffix))
    assert job.parameters == {"reader": {"region": 1, "step_nm": 40}}


@pytest.mark.parametrize(
    ("suffix", "text", "files"),
    [
        (".yaml", "- workflow: {0}\n  cif_paths: [a.cif, b.cif]\n", ["a.cif", "b.cif"]),
        (".yaml", "- workflow: {0}\n  cif_paths: a.cif\n", "a.cif"),
        (".csv", 'workflow,cif_paths\n{0},"a.cif,b.cif"\n', ["a.cif", "b.cif"]),
        (".csv", "workflow;cif_paths\n{0};a.cif,b.cif\n", ["a.cif", "b.cif"]),
        (".csv", "workflow,cif_paths\n{0},*.cif\n", "*.cif"),
    ],
)
def test_a_manifest_holds_lists_of_files(tmp_path, reading, suffix, text, files):
    (job,) = read_manifest(manifest(tmp_path, text.format(reading), suffix))
    several = [str(tmp_path / name) for name in files] if isinstance(files, list) else str(tmp_path / files)
    assert job.parameters == {"cif_paths": several}


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        (".yaml", "- workflow: {0}\n  reader: {{zone: 1}}\n", r"entry 1 .*'reader.zone' is unknown"),
        (".yaml", "- workflow: {0}\n  reader: {{region: 1.5}}\n", "got reader.region=1.5 of type float"),
        (".yaml", "- workflow: {0}\n  reader: {{entry: 2}}\n", "Put a text into quotes"),
        (".yaml", "- workflow: {0}\n  reader: 1\n", "needs a value of type dict"),
        (".yaml", "- workflow: {0}\n  reader: {{region: 1}}\n  reader.region: 2\n", "given twice"),
        (".yaml", "- workflow: {0}\n  seed: 1.5\n", "needs a value of type int"),
        (".yaml", "- workflow: {0}\n  seed: true\n", "needs a value of type int"),
        (".yaml", "- workflow: {0}\n  text: 2026-01-02\n", "Put a text into quotes"),
        (".yaml", "- workflow: {0}\n  cif_paths: [a.cif, 1]\n", r"needs a value of type str \| list"),
        (".yaml", "- workflow: {0}\n  output_dir: elsewhere\n", "output_dir is set by"),
        (".csv", "workflow,reader.region\n{0},one\n", "entry 1, line 2 .*got reader.region=one"),
        (".csv", "workflow,reader.zone\n{0},1\n", "takes no argument 'zone'"),
        (".csv", "workflow,cif_paths\n{0},a.cif,b.cif\n", "3 cells under 2 names.*quote a cell"),
        (".csv", "workflow,seed,seed\n{0},1,2\n", r"column\(s\) seed twice"),
    ],
)
def test_a_manifest_is_refused_before_the_first_job(tmp_path, reading, suffix, text, said):
    with pytest.raises((SchemaError, ReadError), match=said):
        run_manifest(manifest(tmp_path, text.format(reading), suffix), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_row_whose_file_is_missing_is_refused_before_anything_starts(tmp_path, reading):
    (tmp_path / "a.nc").write_text("", encoding="utf-8")
    text = f"- workflow: {reading}\n  input_path: no.nc\n"
    text += f"- workflow: {reading}\n  input_path: a.nc\n  cif_paths: [no*.cif]\n"
    with pytest.raises(ReadError, match="2 faults in 2 of 2 rows") as told:
        run_manifest(manifest(tmp_path, text), tmp_path / "out")
    assert re.search(r"entry 1 +no\.nc +input_path +no such file: no\.nc", str(told.value))
    assert "no file that matches this pattern: no*.cif" in str(told.value)
    assert f"relative paths count from {tmp_path}" in str(told.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_vanishes_before_its_row_fails_that_row_without_a_kernel(tmp_path, reading, monkeypatch):
    monkeypatch.setattr("phasekit.batch.runner._execute_notebook", lambda *_, **__: pytest.fail("a kernel started"))
    (tmp_path / "a.nc").write_text("", encoding="utf-8")
    rows = plan_batch(manifest(tmp_path, f"- workflow: {reading}\n  input_path: a.nc\n"), tmp_path / "out")
    (tmp_path / "a.nc").unlink()
    (record,) = run_rows(rows, tmp_path / "out").records
    assert record["status"] == "failed"
    assert "no such file for input_path" in record["error"]
    assert "0 of 1 runs ended well" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
