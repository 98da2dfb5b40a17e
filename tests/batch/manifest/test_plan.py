"""Right manifests, patterns and shared values: what each row runs on, and where its results go."""

import pytest

from phasekit.batch import ManifestError, plan_batch, read_manifest
from phasekit.batch.manifest.entries import read_source
from phasekit.batch.manifest.limits import parse_memory, parse_time
from phasekit.batch.manifest.options import read_shared
from phasekit.batch.manifest.rows import plan_rows
from phasekit.batch.manifest.running import describe_row, read_status, select_rows
from phasekit.batch.record import write_record
from phasekit.errors import ReadError, SchemaError

ROWS = [("nmf", {"seed": 1, "threshold": 0.5}), ("acom", {"seed": 2})]
#: The same two rows, written in many ways.
SAME = [
    ("workflow,seed,threshold\nnmf,1,0.5\nacom,2,\n", ".csv", "utf-8"),
    ("workflow,seed,threshold\nnmf,1,0.5\nacom,2\n", ".csv", "utf-8-sig"),
    ("workflow;seed;threshold\nnmf;1;0.5\nacom;2;\n", ".csv", "utf-16"),
    ("\ufeffworkflow\tseed\tthreshold\r\nnmf\t1\t0.5\r\n\r\nacom\t2\t\r\n", ".tsv", "utf-16-le"),
    ("\ufeffnotebook,seed,threshold\nnmf,1,0.5\nacom,2, \n", ".csv", "utf-32-be"),
    ("sep=;\nworkflow;seed;threshold\nnmf;1;0.5\nacom;2;\n", ".csv", "utf-8"),
    ('"workflow","seed","threshold",\n"nmf","1","0.5",\n"acom","2","",\n', ".csv", "utf-8"),
    ("workflow,seed,threshold\rnmf,1,0.5\racom,2,\r", ".csv", "utf-8"),
    ("workflow\tseed\tthreshold\nnmf\t1\t0.5\nacom\t2\t\n", ".CSV", "utf-8"),
    ("- {workflow: nmf, seed: 1, threshold: 0.5}\n- {notebook: acom, seed: 2, threshold: }\n", ".yaml", "utf-8"),
    ("- {workflow: nmf, seed: 01, threshold: 5e-1}\n- {workflow: acom, seed: '2'}\n", ".yml", "utf-16"),
    (
        '[{"workflow": "nmf", "seed": 1, "threshold": 0.5},\n\t{"workflow": "acom", "seed": 2, "x": null}]',
        ".json",
        "utf-8",
    ),
    ("[{'workflow': 'nmf', 'seed': 1, 'threshold': 0.5}, {'workflow': 'acom', 'seed': 2,},]", ".json", "utf-8"),
]


@pytest.mark.parametrize(("text", "suffix", "encoding"), SAME)
def test_one_list_can_be_written_in_many_ways(write, text, suffix, encoding):
    path = write(text, suffix, encoding)
    assert [(job.workflow, job.parameters) for job in read_manifest(path)] == ROWS
    assert [(row.workflow, row.parameters) for row in plan_batch(path, "out")] == ROWS


def test_a_table_that_mixes_workflows_leaves_cells_empty(write):
    text = "notebook,input_path,cif_paths,k_max,align\nacom,scans/one.mib,Ni.cif,,\nnmf,a.nc,,5,\nstxm,b.nc,,,no\n"
    acom, nmf, stxm = plan_batch(write(text), "out")
    assert set(acom.parameters) == {"input_path", "cif_paths"}
    assert nmf.parameters["k_max"] == 5
    assert set(stxm.parameters) == {"input_path", "align"}


def test_paths_count_from_the_manifest_and_inputs_are_listed(write, folder):
    (row,) = plan_batch(
        write('workflow,input_path,cif_paths\nacom,scans/one.mib,"Ni.cif,c,d.cif"\n'.replace(",c,d", ",*d")), "out"
    )
    files = [folder / "scans/one.mib", folder / "Ni.cif", folder / "c,d.cif"]
    assert row.parameters["input_path"] == str(files[0])
    assert row.parameters["cif_paths"] == [str(files[1]), str(files[2])]
    assert list(row.inputs) == files
    assert (row.label, row.memory_bytes, row.time_s) == ("one.mib", None, None)


def test_defaults_of_the_notebook_are_inputs_too(write):
    (row,) = plan_batch(write("workflow,seed\nacom,1\n"), "out")
    assert [path.name for path in row.inputs] == ["acom_two_phases.nc", "Ni.cif", "LiFePO4.cif"]
    assert all(path.is_file() for path in row.inputs)


def test_a_notebook_counts_from_the_manifest_and_on_the_command_line_from_the_user(write, folder):
    (row,) = plan_batch(write("notebook,weight\nown.ipynb,1\n"), "out")
    assert row.workflow == str(folder / "own.ipynb")
    (row,) = plan_batch("here.nc", "out", notebook="elsewhere.ipynb")
    assert row.workflow == str(folder.parent / "elsewhere.ipynb")


def test_a_pattern_makes_a_row_for_each_file(folder):
    rows = plan_batch("lists/scans/*.mib", "out", notebook="acom", parameters={"cif_paths": "lists/Ni.cif"})
    assert [row.label for row in rows] == ["one.mib", "two.mib"]
    assert all(row.parameters["cif_paths"] == str(folder / "Ni.cif") for row in rows)
    assert len({row.folder for row in rows}) == 2
    found = plan_batch(["here.nc", "lists/**/*.mib"], "out", notebook="nmf")
    assert [row.label for row in found] == ["here.nc", "one.mib", "two.mib"]


def test_a_shared_value_that_no_row_would_follow_is_a_fault(write):
    with pytest.raises(ManifestError, match=r"--notebook acom beside 2 rows that all name their own"):
        plan_batch(write("workflow,seed\nnmf,1\nnmf,2\n"), "out", notebook="acom")
    with pytest.raises(ManifestError, match="input_path beside data files"):
        plan_batch("lists/a.nc", "out", notebook="nmf", parameters={"input_path": "lists/b.nc"})
    assert len(plan_batch(write("workflow,seed\nnmf,1\n,2\n"), "out", notebook="acom")) == 2


def test_results_of_the_batch_are_not_its_inputs(folder):
    result = folder / "out/nmf-a/result.nc"
    result.parent.mkdir(parents=True)
    result.write_text("", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"entry 3 .*result\.nc .*a file in the folder of the batch itself"):
        plan_batch("lists/**/*.nc", "lists/out", notebook="nmf")


def test_a_file_whose_name_is_a_pattern_is_that_file(folder):
    (folder / "[1].mib").write_text("", encoding="utf-8")
    (folder / "1.mib").write_text("", encoding="utf-8")
    (row,) = plan_batch("lists/[1].mib", "out", notebook="nmf")
    assert row.label == "[1].mib"


def test_what_a_row_gives_comes_before_set_and_set_before_a_file(write, folder):
    (folder / "all.yaml").write_text("seed: 7\nk_max: 9\nreader: {step_nm: 4}\ninput_path: a.nc\n", encoding="utf-8")
    shared = read_shared(notebook="nmf", settings=["k_max=8", "reader.chunks=2"], files=["lists/all.yaml"])
    path = write("seed,reader.step_nm\n1,\n,5\n")
    first, second = plan_rows(read_source([path]), "out", shared)
    assert first.parameters == {
        "seed": 1,
        "k_max": 8,
        "reader": {"step_nm": 4, "chunks": 2},
        "input_path": str(folder / "a.nc"),
    }
    assert second.parameters["seed"] == 7
    assert second.parameters["reader"] == {"step_nm": 5.0, "chunks": 2}


def test_a_wrong_shared_value_is_one_fault(write, folder):
    shared = read_shared(settings=["k_max=x", "sead=1", "threshold=7", "k_min=20", "reader.zone=1"])
    with pytest.raises(ManifestError, match="4 faults in what all rows share") as told:
        plan_rows(read_source([write("workflow,seed\nnmf,1\nnmf,2\n")]), "out", shared)
    assert sorted((fault.row, fault.file, fault.parameter) for fault in told.value.faults) == [
        (0, "--set, nmf", "k_max"),
        (0, "--set, nmf", "reader.zone"),
        (0, "--set, nmf", "sead"),
        (0, "--set, nmf", "threshold"),
    ]
    with pytest.raises(ManifestError, match=r"entries 1-2 .*got k_max=12, k_min=20"):
        plan_rows(read_source([write("workflow,seed\nnmf,1\nnmf,2\n")]), "out", read_shared(settings=["k_min=20"]))
    rows = plan_rows(read_source([write("workflow,k_max\nnmf,25\n")]), "out", read_shared(settings=["k_min=20"]))
    assert rows[0].parameters == {"k_min": 20, "k_max": 25}


@pytest.mark.parametrize(
    ("text", "said"),
    [("- 1\n", "no mapping of names"), ("workflow: nmf\n", "Give --notebook nmf"), ("seed: 1\nseed: 2\n", "twice")],
)
def test_a_file_of_shared_values_is_a_mapping_of_parameters(folder, text, said):
    (folder / "all.yaml").write_text(text, encoding="utf-8")
    with pytest.raises((ReadError, SchemaError), match=said):
        read_shared(files=["lists/all.yaml"])


def test_a_row_s_name_is_its_folder_and_a_notebook_keeps_a_parameter_of_that_name(write, folder):
    (row,) = plan_batch(write("workflow,name,memory,time\nnmf,grain 7,500 MB,1h 30min\n"), "out")
    assert row.folder == folder.parent / "out/grain 7"
    assert (row.memory_bytes, row.time_s) == (500_000_000, 5400.0)
    named = folder / "named.ipynb"
    named.write_text(
        (folder / "own.ipynb").read_text(encoding="utf-8").replace("label: str", "name: str"), encoding="utf-8"
    )
    (row,) = plan_batch(write("notebook,name\nnamed.ipynb,../x\n"), "out")
    assert row.parameters == {"name": "../x"}
    assert row.folder.parent == folder.parent / "out"


def test_limits_of_a_row_come_before_those_of_the_command_line(write):
    path = write("workflow,seed,memory\nnmf,1,\nnmf,2,2GiB\n")
    first, second = plan_batch(path, "out", memory="4GB", time="90s")
    assert (first.memory_bytes, first.time_s) == (4_000_000_000, 90.0)
    assert (second.memory_bytes, second.time_s) == (2**31, 90.0)


@pytest.mark.parametrize(
    "text", ["", "4", "4G", "4 g", "GB", "-4GB", "0GB", "nan GB", "1e3GB", "4GB4GB", "4 PB", "٤GB"]
)
def test_memory_without_a_known_unit_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 -- the caller writes the message
        parse_memory(text)


@pytest.mark.parametrize(
    "text", ["", "30", "1:30", "5m", "5 minutes", "-5s", "0s", "nan s", "1:60:00", "1:00:61", "5400", True]
)
def test_time_without_a_known_unit_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 -- the caller writes the message
        parse_time(text)


def test_a_folder_stays_when_manifest_and_data_move_together(write, folder, tmp_path):
    text = "workflow,input_path\nnmf,a.nc\n"
    (before,) = plan_batch(write(text), "out")
    folder.rename(tmp_path / "moved")
    (after,) = plan_batch(tmp_path / "moved/jobs.csv", "out")
    assert before.name == after.name
    assert before.parameters != after.parameters


def test_rows_are_chosen_by_how_they_ended_by_name_and_by_number(write):
    rows = plan_batch(write("workflow,name\nnmf,one\nacom,two\nstxm,three\nvirtual,four\n"), "out")
    for row, status in zip(rows, ("ok", "failed", "running"), strict=False):
        row.folder.mkdir(parents=True)
        write_record(row.folder, {"status": status})
    assert [read_status(row) for row in rows] == ["ok", "failed", "running", "new"]
    assert [row.name for row in select_rows(rows, only="failed")] == ["two", "three"]
    assert [row.name for row in select_rows(rows, only="t*", limit=1)] == ["two"]
    assert [row.name for row in select_rows(rows, limit=2)] == ["one", "two"]
    (rows[0].folder / "run.json").write_text("{", encoding="utf-8")
    assert read_status(rows[0]) == "damaged"
    with pytest.raises(SchemaError, match=r"--only x\*: matches none of 4 rows, such as one, two, three"):
        select_rows(rows, only="x*")


def test_a_row_is_described_by_what_it_gives(write):
    (row,) = plan_batch(write("workflow,input_path,k_max,time\nnmf,a.nc,5,2h\n"), "out")
    text = describe_row(row)
    assert text.startswith("new     a.nc  nmf -> ")
    assert "k_max=5" in text
    assert "time 7200 s" in text


def test_a_thousand_rows_read_each_notebook_once(write, monkeypatch):
    from phasekit.batch.manifest import checking

    read = []
    known = checking.notebook_parameters
    monkeypatch.setattr(checking, "notebook_parameters", lambda path: read.append(path) or known(path))
    text = "workflow,input_path,seed\n" + "".join(f"nmf,a.nc,{seed}\n" for seed in range(1000))
    rows = plan_batch(write(text), "out")
    assert len({row.folder for row in rows}) == 1000
    assert len(read) == 1
