"""The command line as its help and the pages state it: command, exit code, what is opened or why it is refused."""

import argparse
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from phasekit import cli
from phasekit.batch import find_notebook, notebook_parameters, read_manifest
from phasekit.workflows import list_workflows

from ..tree import project_files
from .opening import LETTERS

STXM = "run stxm --out out --quiet "
ACOM = "run acom --out out --quiet --input line.npy "

#: Command -> the parameters that reach the notebook, paths as they are seen from the folder of the user.
GOOD = {
    # the arguments of the openers
    STXM + "--input regions.hdr -p reader.region=1": {"reader": {"region": 1}},
    STXM + "--input regions.hdr -p reader.region=1 -p reader.step_nm=40": {"reader": {"region": 1, "step_nm": 40.0}},
    STXM + """--input two.hdf5 -p 'reader={"entry": "entry2"}'""": {"reader": {"entry": "entry2"}},
    STXM + """--input two.hdf5 -p "reader={'entry': 'entry2'}" """: {"reader": {"entry": "entry2"}},
    STXM + "--input two.hdf5 -p reader.entry=entry2": {"reader": {"entry": "entry2"}},
    STXM + """--input two.hdf5 -p reader.step_nm=40 -p 'reader={"region": 1}'""": {
        "reader": {"region": 1, "step_nm": 40.0}
    },
    STXM + "--input stack.hdf5 -p reader.counter=counter0": {"reader": {"counter": "counter0"}},
    STXM + "--input stack.hdf5 -p reader.counter=none -p reader={}": {"reader": {"counter": None}},
    STXM + "--input stack.hdf5 -p reader.region=Null": {"reader": {"region": None}},
    STXM + "--input bare.tif -p reader.energies=512,515.5,523 -p reader.step_nm=4e1": {
        "reader": {"energies": [512.0, 515.5, 523.0], "step_nm": 40.0}
    },
    STXM + "--input bare.tif -p reader.energies=512 -p reader.energies=515.5,523 -p reader.step_nm=40": {
        "reader": {"energies": [512.0, 515.5, 523.0], "step_nm": 40.0}
    },
    STXM + """--input bare.tif -p 'reader={"energies": [512, 515.5, 523], "step_nm": "40"}'""": {
        "reader": {"energies": [512, 515.5, 523], "step_nm": 40.0}
    },
    "run nmf --out out --input line.npy -p reader.scan_shape=2,3": {"reader": {"scan_shape": [2, 3]}},
    "run nmf --out out --input line.npy -p 'reader.scan_shape=[2, 3]'": {"reader": {"scan_shape": [2, 3]}},
    "run nmf --out out --input line.npy -p 'reader.scan_shape=(2, 3)'": {"reader": {"scan_shape": [2, 3]}},
    "run virtual --out out --input line.npy -p reader.chunks=2": {"reader": {"chunks": 2}},
    "run virtual --out out --input line.npy -p reader.chunks=auto": {"reader": {"chunks": "auto"}},
    """run virtual --out out --input line.npy -p 'reader.chunks={"scan_x": 2}'""": {
        "reader": {"chunks": {"scan_x": 2}}
    },
    "run virtual --out out --input line.npy -p reader.dataset=none": {"reader": {"dataset": None}},
    # lists of files
    STXM + "-p reference_paths=refs.csv": {"reference_paths": "refs.csv"},
    STXM + "-p reference_paths=refs/one.csv,refs/two.csv": {"reference_paths": ["refs/one.csv", "refs/two.csv"]},
    STXM + "-p reference_paths=refs/one.csv -p reference_paths=refs.csv": {
        "reference_paths": ["refs/one.csv", "refs.csv"]
    },
    STXM + """-p 'reference_paths=["refs/one.csv", "refs/a,b.csv"]'""": {
        "reference_paths": ["refs/one.csv", "refs/a,b.csv"]
    },
    STXM + "-p reference_paths=refs/a,b.csv": {"reference_paths": "refs/a,b.csv"},
    STXM + "-p 'reference_paths=refs/[ot]*.csv'": {"reference_paths": ["refs/one.csv", "refs/two.csv"]},
    STXM + "-p 'reference_paths=refs/t*.csv,refs.csv'": {"reference_paths": ["refs/two.csv", "refs.csv"]},
    STXM + "-p i0_path=i0.xsp": {"i0_path": "i0.xsp"},
    STXM + "-p i0_path=": {"i0_path": ""},
    ACOM + "-p cif_paths=Ni.cif": {"cif_paths": "Ni.cif"},
    ACOM + "-p 'cif_paths=a folder/Ni.cif,LiFePO4.cif'": {"cif_paths": ["a folder/Ni.cif", "LiFePO4.cif"]},
    ACOM + "-p 'cif_paths=*.cif'": {"cif_paths": ["LiFePO4.cif", "Ni.cif"]},
    ACOM + "-p cif_paths=Ni.cif -p cif_paths=LiFePO4.cif": {"cif_paths": ["Ni.cif", "LiFePO4.cif"]},
    # values that are easily mistaken
    STXM + "--input 'a folder/a=b stack.hdf5'": {"input_path": "a folder/a=b stack.hdf5"},
    STXM + "-p 'input_path=a folder/a=b stack.hdf5'": {"input_path": "a folder/a=b stack.hdf5"},
    STXM + f"--input '{LETTERS}/{LETTERS}.hdf5'": {"input_path": f"{LETTERS}/{LETTERS}.hdf5"},
    STXM + "-p 'seed = 7'": {"seed": 7},
    ACOM + "-p detector_rotation_deg=-0.1": {"detector_rotation_deg": -0.1},
    STXM + "--parameter align=no": {"align": False},
    "run nmf --out out -p background=-1 -p scale=none": {"background": -1, "scale": "none"},
}


@pytest.mark.parametrize("command", GOOD)
def test_a_command_opens_what_it_names(command, typed, desk):
    code, said, openings = typed(shlex.split(command))
    assert code == 0, said
    found = openings.parameters[0]
    for name, value in GOOD[command].items():
        is_path = name.endswith(("_path", "_paths")) and value
        several = [str(desk / item) for item in value] if isinstance(value, list) and is_path else value
        assert found[name] == (str(desk / value) if is_path and isinstance(value, str) else several)


def test_the_argument_reaches_the_opener(typed):
    _, _, openings = typed(shlex.split(STXM + "--input regions.hdr -p reader.region=1"))
    assert float(openings.opened[0]["stack"].intensity[0, 0, 0]) == 101000
    _, _, openings = typed(shlex.split("run nmf --out out --input line.npy -p reader.scan_shape=2,3"))
    assert openings.opened[0]["patterns"].sizes["scan_x"] == 3
    _, _, openings = typed(shlex.split(ACOM + "-p cif_paths=Ni.cif"))
    assert [phase.name for phase in openings.opened[0]["phases"]] == ["Ni"]


#: Command -> what the message says; exit code 2, no kernel, nothing written.
BAD = {
    # arguments of the openers
    STXM + "-p reader.zone=1": "pk.io.open_stxm takes no argument 'zone' here, needs one of entry, region",
    STXM + """-p 'reader={"zone": 1}'""": "'reader.zone' is unknown",
    STXM + "-p reader.scan_shape=2,3": "pk.io.open_stxm takes no argument 'scan_shape'",
    STXM + "-p reader.path=x": "takes no argument 'path'",
    STXM + "-p reader.energies.first=1": "takes no argument 'energies.first'",
    "run nmf --out out -p reader.region=1": "pk.io.open_4dstem takes no argument 'region' here, needs one of chunks",
    STXM + "-p reader.region=one": "got reader.region=one, needs a value of type int | None",
    STXM + "-p reader.region=1.5": "as in reader.region=1.",
    STXM + "-p reader.region=": "'reader.region' is empty",
    STXM + "-p reader.entry=": "'reader.entry' is empty",
    STXM + "-p reader.region=1,2": "needs a value of type int | None",
    STXM + "-p reader.step_nm=40nm": "got reader.step_nm=40nm, needs a value of type float",
    STXM + "-p reader.step_nm=nan": "got reader.step_nm=nan, needs a value of type float",
    STXM + "-p reference_reader.zone=1": "pk.io.open_references takes no argument 'zone'",
    STXM + "-p i0_reader.zone=1": "pk.io.open_i0 takes no argument 'zone'",
    STXM + """-p 'i0_reader={"path": "i0.xsp"}'""": "takes no argument 'path'",
    STXM + "-p reader.energies=512:523": "float | list[float] | None",
    STXM + "-p reader.energies=512-523": "float | list[float] | None",
    "run nmf --out out -p reader.scan_shape=2x3": "list[int] | None",
    "run nmf --out out -p reader.scan_shape=2.5,3": "list[int] | None",
    STXM + """-p 'reader={"region": true}'""": "got reader.region=True of type bool",
    STXM + """-p 'reader={"entry": 2}'""": "Put a text into quotes",
    STXM + "-p reader={region:1}": "as in reader.entry=text",
    STXM + "-p reader=1": "needs a value of type dict",
    STXM + "-p reader=none": "needs a value of type dict",
    STXM + "-p reader=": "needs a value of type dict",
    STXM + "-p 'reader=[1]'": "needs a value of type dict",
    STXM + """-p 'reader={1: 2}'""": "needs a value of type dict",
    STXM + "-p reader.region=1 -p reader.region=0": "'reader.region' is given 2 times (1, 0)",
    STXM + """-p reader.region=1 -p 'reader={"region": 1}'""": "'reader.region' is given twice",
    STXM + "-p 'reader={}' -p 'reader={}'": "'reader' is given 2 times",
    STXM + "-p seed.x=1": "seed is of type int and holds no arguments",
    # files that are not there
    STXM + "--input nowhere.hdf5": "nowhere.hdf5: found no such file for input_path",
    STXM + "--input ''": "input_path is empty",
    STXM + "-p i0_path=no.xsp": "no.xsp: found no such file for i0_path",
    STXM + "-p i0_path=none": "none: found no such file for i0_path",
    STXM + "-p reference_paths=refs.csv,no.csv": "no.csv: found no such file for reference_paths",
    STXM + "-p reference_paths=refs.csv -p reference_paths=no.csv": "no.csv: found no such file for reference_paths",
    STXM + "-p 'reference_paths=no/*.csv'": "no file that matches this pattern for reference_paths",
    STXM + "-p reference_paths=": "reference_paths is empty",
    STXM + "-p 'reference_paths=[]'": "reference_paths is empty",
    STXM + "-p 'reference_paths=[refs.csv,no.csv]'": "needs a value of type str | list[str]",
    STXM + "-p 'reference_paths=[1, 2]'": "needs a value of type str | list[str]",
    STXM + """-p 'reference_paths=["C:\\new.csv"]'""": "In JSON write a backslash twice",
    STXM + r"-p 'reference_paths=C:\data\new.csv'": r"C:\data\new.csv: found no such file for reference_paths",
    ACOM + "-p cif_paths=Ni.cif,NiO.cif": "NiO.cif: found no such file for cif_paths",
    ACOM + "-p cif_paths=": "cif_paths is empty",
    # names and values
    STXM + "-p seed": "needs name=value",
    STXM + "-p =7": "'' is unknown",
    STXM + "-p seeed=7": "'seeed' is unknown, needs one of input_path, reader",
    STXM + "-p seed=": "needs a value of type int",
    STXM + "-p seed=none": "needs a value of type int",
    STXM + "-p seed=1-3": "needs a value of type int",
    STXM + "-p seed=1_0": "needs a value of type int",
    STXM + "-p margin=0,5": "needs a value of type float",
    STXM + "-p margin=inf": "needs a value of type float",
    STXM + "-p margin=-0.1": "got margin=-0.1, needs margin >= 0",
    STXM + "-p min_confidence=7": "got min_confidence=7.0, needs 0 <= min_confidence <= 1",
    "run nmf --out out -p threshold=5": "needs 0 <= threshold <= 1",
    "run nmf --out out -p rule=nonsense": "needs one of combined, published, held_out",
    "run nmf --out out -p rule=publisht": "Did you mean 'published'?",
    "run nmf --out out -p k_min=11": "got k_max=12, k_min=11, needs k_max >= k_min + 2",
    STXM + "-p seed=1 -p seed=2": "'seed' is given 2 times (1, 2). Give it once",
    STXM + "--input stack.hdf5 -p input_path=two.hdf5": "'input_path' is given 2 times",
    STXM + "-p output_dir=elsewhere": "set by --out",
    "run start --out out --input stack.hdf5": "'input_path' is unknown",
    "run stxm --out ''": "is empty",
    "run stxm --out stack.hdf5": "found a file",
    "run stxm --out stack.hdf5/out": "cannot be written",
    "run nowhere.ipynb --out out": "nowhere.ipynb: found no file",
    "run": "usage: phasekit run",
    "run stxm": "--out",
    "parameters": "usage: phasekit parameters",
    "parameters stem": "needs one of start, stxm",
    "batch jobs.csv": "--out",
    "batch no.csv --out out": "no.csv",
    "batch refs.csv --out out": "'workflow'",
    "batch refs.csv --out out --workers -1": "give 1 or more",
    "batch *.mib --out out --notebook acom --workers 0 --memory 4GB": "--workers 0 keeps no limits",
    "batch --out out": "batch: no data",
    "batch --out out --collect": "no slurm_rows.json",
    "batch --out out --slurm-task x:0": "no rows of a SLURM array",
    "batch *.mib --out out --notebook acom --slurm --sbatch short": "needs one option of sbatch",
    "batch *.mib --out out --notebook acom --scheduler nowhere": "no scheduler that answers",
    "batch refs.csv --out out --workers two": "give 1 or more",
    "batch refs.csv --out refs.csv": "found a file",
    "batch refs.csv --out out --limit 0": "give 1 or more",
    "batch *.mib --out out --notebook acom --set reliabilty=1": "Did you mean 'reliability'?",
    "batch *.mib --out out --notebook acom --set seed": "needs name=value",
    "batch *.mib --out out --notebook acom --parameters no.yaml": "no.yaml",
    "batch *.mib --out out --notebook acom --parameters refs.csv": "needs a .yaml or .json file",
    "batch *.mib --out out --notebook acom --memory 4": "got memory=4  needs a number with its unit",
    "batch *.mib --out out --notebook acom --time 30": "got time=30  needs a number with its unit",
    "batch *.mib --out out --notebook acom --only no*": "matches none of 2 rows",
    "batch *.mib --out out": "data files and no --notebook",
    "batch no/*.mib --out out --notebook acom": "found no file that matches this pattern",
    "batch scans --out out --notebook acom": "found a folder",
    "batch refs.csv scan.mib --out out --notebook acom": "found a manifest among 2 files",
    "batch scan.mib ./scan.mib --out out --notebook acom": "the same row as entry 1",
    "demo --out refs.csv": "found a file",
    "samples fly": "invalid choice",
    "samples make gold": "stxm_nvpf",
    "samples make --out refs.csv": "found a file",
    "notebooks refs.csv": "found a file",
    "app no.hdf5": "no.hdf5",
    "app stack.hdf5 --root scans": "outside the data root",
    "app --max-upload much": "--max-upload 'much'",
    "app --port 99999": "--port",
    "notebooks": "folder",
    "fly": "invalid choice",
    "": "usage: phasekit",
}


@pytest.mark.parametrize("command", BAD)
def test_a_command_is_refused_before_a_kernel_starts(command, typed, desk):
    before = sorted(desk.rglob("*"))
    code, said, openings = typed(shlex.split(command))
    assert (code, openings.parameters) == (2, [])
    assert BAD[command] in said
    assert "Traceback" not in said
    assert sorted(desk.rglob("*")) == before


#: What the help of each command states, beside the tables above.
STATED = {
    "--version": "phasekit ",
    "--help": "COMMAND",
    "run stxm --out out": "stxm: done in",
    "parameters stxm": "reader.region: int | None = None  Number of the region",
    "parameters start": "interactive: bool = True",
    "batch jobs.csv --out out": "2 of 2 jobs ended well",
    "batch jobs.csv --out out --workers 2": "2 of 2 jobs ended well",
    "batch jobs.csv --out out --again": "2 of 2 jobs ended well",
    "batch jobs.csv --out out --dry-run": "2 of 2 rows chosen; nothing was run",
    "batch jobs.csv --out out --wait --retries 1 --html": "2 of 2 jobs ended well",
    "batch jobs.csv --out out --page": "2 of 2 jobs ended well",
    "run stxm --out out --quiet --page": "stxm: done in",
    "batch jobs.csv --out out --limit 1": "1 of 1 jobs ended well",
    "batch jobs.csv --out out --only failed": "0 of 2 rows chosen; nothing was run",
    "batch *.mib --out out --notebook acom --set cif_paths=Ni.cif": "2 of 2 jobs ended well",
    "batch scan.mib my_scan.mib --out out --notebook acom -p cif_paths=*.cif": "2 of 2 jobs ended well",
    "batch *.mib --out out --notebook acom --only my_* --parameters all.yaml": "1 of 1 jobs ended well",
    "batch *.mib --out out --notebook acom --memory 4GB --time 1:30:00 --dry-run": "memory 4 GB",
    "batch *.mib --out out --notebook acom --slurm --sbatch=--partition=short --workers 4": "bash out/slurm_submit.sh",
    "app --no-browser": "http://127.0.0.1:5006/",
    "app stack.hdf5 --root . --max-upload 1GB --host 127.0.0.1 --port 5010 --no-browser": "http://127.0.0.1:5010/",
    "app --token --origin lab.example.org --no-browser": "Ctrl-C ends it",
    "demo": "open file:",
    "demo --out out": "acom: done in",
    "samples": "stxm_nvpf",
    "samples list": "phasekit samples fetch als_fe2p",
    "samples fetch": "als_fe2p",
    "samples make nmf_grains --out made": "nmf_grains.nc",
    "notebooks class": "notebooks, without their solutions",
    "notebooks 'my class' --solutions": "notebooks, with their solutions",
}


@pytest.mark.parametrize("command", STATED)
def test_the_help_is_true(command, typed, desk, monkeypatch):
    monkeypatch.setattr("phasekit.samples.fetch", lambda name, **_: desk / name)  # no network here
    (desk / "jobs.csv").write_text("workflow,seed\nnmf,1\nnmf,2\n", encoding="utf-8")
    (desk / "all.yaml").write_text("cif_paths: [Ni.cif]\nvoltage_kv: 300\n", encoding="utf-8")
    code, said, _ = typed(shlex.split(command))
    assert code == 0, said
    assert STATED[command] in said


def list_options(parser: argparse.ArgumentParser) -> list[list[str]]:
    """Commands and options of a parser, each as its spellings."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                found += [[name], *list_options(inner)]
        elif action.option_strings:
            found.append(action.option_strings)
    return found


def test_every_command_and_option_of_the_help_is_tried():
    words = {word for command in (*GOOD, *BAD, *STATED) for word in shlex.split(command)}
    untried = [names for names in list_options(cli.build_parser()) if not words & set(names)]
    assert not untried


#: Form of the help of `run` -> a command that it completes.
FORMS = {
    "-p seed=7": STXM,
    "-p cif_paths=Ni.cif,LiFePO4.cif": ACOM,
    "-p cif_paths=Ni.cif -p cif_paths=LiFePO4.cif": ACOM,
    """-p 'cif_paths=["Ni.cif", "LiFePO4.cif"]'""": ACOM,
    "-p 'reference_paths=refs/*.csv'": STXM,
    "-p reader.region=1": STXM + "--input regions.hdr ",
    """-p 'reader={"region": 1, "step_nm": 40}'""": STXM + "--input regions.hdr ",
    "-p reader.region=none": STXM + "--input stack.hdf5 ",
}


def test_every_form_of_the_help_works(typed):
    _, text, _ = typed(["run", "--help"])
    assert re.findall(r"^  (-p [^N].*?)\s{3,}", text, re.MULTILINE) == list(FORMS)
    lists = []
    for form, start in FORMS.items():
        code, said, openings = typed(shlex.split(start + form))
        assert code == 0, (form, said)
        lists.append(openings.parameters[0].get("cif_paths"))
    assert lists[1] == lists[2] == lists[3]
    assert [path.rpartition("/")[2] for path in lists[1]] == ["Ni.cif", "LiFePO4.cif"]


def test_the_example_of_batch_can_be_pasted(typed):
    _, text, _ = typed(["batch", "--help"])
    lines = re.findall(r"^  phasekit (.*)$", text, re.MULTILINE)
    assert [words.split()[0] for words in lines] == ["samples", "batch", "batch"]
    for words, said in zip(lines, ("nmf_grains.nc", "1 of 1 rows chosen", "1 of 1 jobs ended well"), strict=True):
        code, answer, openings = typed(shlex.split(words))
        assert code == 0, answer
        assert said in answer
    assert openings.parameters[0]["bright_field"] == 0.1


def list_page_commands() -> list[tuple[str, str]]:
    """Commands that README and the pages show, in blocks and in the text."""
    found = []
    for name in project_files():
        if name != "README.md" and not name.startswith("docs/howto/"):
            continue
        text = (find_notebook("start").parents[1] / name).read_text(encoding="utf-8")
        block = r"^(?:    |\$ )(?:[A-Z_]+=\S+ )*phasekit (.*)$"
        found += [(name, words) for words in re.findall(block, text, re.MULTILINE)]
        found += [(name, words) for words in re.findall(r"`phasekit (\w[^`<>]*)`", text)]
    return found


@pytest.mark.parametrize(("page", "words"), list_page_commands())
def test_the_commands_of_the_pages_work(page, words, typed, desk, monkeypatch):
    monkeypatch.setattr("phasekit.samples.fetch", lambda name, **_: desk / name)
    # and no cluster: rows that a page sends to one run here
    monkeypatch.setattr("phasekit.batch.rows.schedule.open_cluster", lambda address, folder: nullcontext(None))
    for name in ("jobs.csv", "manifest.csv"):
        (desk / name).write_text("workflow,seed\nnmf,1\n", encoding="utf-8")
    plain = re.sub(r"\$\(basename ([^)]*)\)", "base", words.split(" #")[0]).replace("$FILE", "scan.mib")
    listed = shlex.split(plain)
    if listed[0] == "app":  # a run that is there
        Path(listed[1] if len(listed) > 1 else ".").mkdir(parents=True, exist_ok=True)
    # In the text a command may be named without its arguments.
    if listed[0] == "run" and "--out" not in listed:
        listed = ["run", *listed[1:2], "--help"]
    elif listed == ["batch"]:
        listed = ["batch", "--help"]
    code, said, _ = typed(listed)
    assert code == 0, said


def test_the_manifests_of_the_page_can_be_read(desk):
    text = (find_notebook("start").parents[1] / "docs/howto/batch.md").read_text(encoding="utf-8")
    shown = re.findall(r"```(?:text|yaml)\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 3
    for number, manifest in enumerate(shown):
        path = desk / f"{number}.{'yaml' if manifest.startswith('-') else 'csv'}"
        path.write_text(manifest, encoding="utf-8")
        assert [job.workflow for job in read_manifest(path)][-1] == "stxm"
    assert read_manifest(desk / "1.csv")[1] == read_manifest(desk / "2.yaml")[0]


def test_the_pages_show_commands():
    pages = {page for page, _ in list_page_commands()}
    assert {"README.md", "docs/howto/batch.md", "docs/howto/your_file.md"} <= pages


@pytest.mark.parametrize("workflow", [workflow.name for workflow in list_workflows()])
def test_every_workflow_passes_reader_to_its_opener(workflow):
    reader = notebook_parameters(find_notebook(workflow))["reader"]
    assert (reader.kind, reader.default) == ("dict", {})
    assert reader.function in ("pk.io.open_stxm", "pk.io.open_4dstem")
    assert all(argument.help and argument.kind != "Any" for argument in reader.arguments.values())
