"""Wrong manifests: every fault of every row stands in one table, before anything starts."""

import pickle
import re

import pytest

from phasekit.batch import ManifestError, plan_batch, read_manifest
from phasekit.batch.manifest.faults import Fault, format_faults
from phasekit.errors import ReadError, SchemaError

#: Manifest -> pieces of one line of the table, in their order.
TABLES = {
    # notebooks
    "workflow\nacmo\n": ("entry 1, line 2", "notebook", "there is no workflow 'acmo'", "Did you mean 'acom'?"),
    "workflow\n../x\n": ("notebook", "there is no workflow '../x'", "the path of an .ipynb file"),
    "notebook\nno.ipynb\n": ("notebook", "no file at", "Needs a notebook there: a relative path counts from"),
    "notebook\nelsewhere.ipynb\n": ("no file at", "does not count)"),
    "notebook\nbroken.ipynb\n": ("notebook", "a file that is no notebook", "To fix it: give an .ipynb file"),
    "workflow,notebook\nacom,nmf\n": ("workflow 'acom' and notebook 'nmf'", "Needs one of the two columns"),
    "input_path\na.nc\n": ("a.nc", "notebook", "no 'workflow' and no 'notebook'", "--notebook"),
    "Workflow\nnmf\n": ("no 'workflow' and no 'notebook'", "Write 'Workflow' in small letters"),
    "workflow,seed\nnmf,1\n,2\n": ("entry 2, line 3", "no 'workflow' and no 'notebook'"),
    # names of parameters
    "workflow,sead\nnmf,1\n": ("entry 1", "sead", "'sead' is unknown", "needs one of", "Did you mean 'seed'?"),
    "workflow,Seed\nnmf,1\n": ("'Seed' is unknown", "Did you mean 'seed'?"),
    "workflow,cif_paths\nnmf,Ni.cif\n": ("cif_paths", "is unknown", "needs one of input_path"),
    "workflow,reader.zone\nstxm,1\n": ("reader.zone", "takes no argument 'zone' here", "needs one of entry, region"),
    "workflow,reader.regoin\nstxm,1\n": ("takes no argument 'regoin'", "Did you mean 'region'?"),
    "workflow,seed.x\nnmf,1\n": ("seed.x", "holds no arguments", "Write seed=VALUE"),
    "workflow,raeder.region\nstxm,1\n": ("'raeder.region' is unknown", "Did you mean 'reader'?"),
    "workflow,output_dir\nnmf,elsewhere\n": ("output_dir", "is set by the folder of the batch (--out)", "Leave it out"),
    "workflow,interactive\nnmf,true\n": ("interactive", "got interactive=True", "a batch has no screen"),
    # types
    "workflow,seed\nnmf,1.5\n": ("seed", "got seed=1.5", "needs a value of type int"),
    "workflow,seed\nnmf,one\n": ("got seed=one", "needs a value of type int"),
    "workflow,seed\nnmf,1_000\n": ("got seed=1_000", "needs a value of type int"),
    "workflow;threshold\nnmf;0,5\n": ("got threshold=0,5", "needs a value of type float"),
    "workflow,threshold\nnmf,nan\n": ("got threshold=nan", "needs a value of type float"),
    "workflow,threshold\nnmf,-inf\n": ("got threshold=-inf", "needs a value of type float"),
    "workflow,align\nstxm,maybe\n": ("align", "got align=maybe", "needs a value of type bool"),
    "workflow,reader.region\nstxm,one\n": (
        "reader.region",
        "got reader.region=one",
        "needs a value of type int | None",
    ),
    "workflow,reader\nstxm,1\n": ("reader", "needs a value of type dict"),
    "workflow,reader\nstxm,{a\n": ("reader", "needs a value of type dict"),
    # ranges and choices
    "workflow,min_confidence\nstxm,7\n": ("min_confidence", "got min_confidence=7.0", "needs 0 <= min_confidence <= 1"),
    "workflow,rule\nnmf,nonsense\n": ("rule", "got rule='nonsense'", "needs one of combined, published, held_out"),
    "workflow,rule\nnmf,Combined\n": ("got rule='Combined'", "Did you mean 'combined'?"),
    "workflow,k_min,k_max\nnmf,5,6\n": ("k_max", "got k_max=6, k_min=5", "needs k_max >= k_min + 2"),
    "workflow,k_min\nnmf,11\n": ("k_max", "got k_max=12, k_min=11", "needs k_max >= k_min + 2"),
    "workflow,dark_field_inner,dark_field_outer\nvirtual,3,2\n": ("got dark_field_outer=2.0, dark_field_inner=3.0",),
    "workflow,voltage_kv\nacom,200000\n": ("got voltage_kv=200000.0", "needs 1 <= voltage_kv <= 10000"),
    "notebook,weight\nown.ipynb,0\n": ("weight", "got weight=0.0", "needs 0 < weight <= 1"),
    "notebook,method\nown.ipynb,slow\n": ("got method='slow'", "needs one of fast, exact"),
    # files
    "workflow,input_path\nnmf,no.nc\n": ("no.nc", "input_path", "no such file: no.nc", "relative paths count from"),
    "workflow,input_path\nnmf,here.nc\n": ("no such file: here.nc", "relative paths count from"),
    "workflow,cif_paths\nacom,no*.cif\n": ("cif_paths", "no file that matches this pattern: no*.cif"),
    'workflow,cif_paths\nacom,"Ni.cif,no.cif"\n': ("cif_paths", "no such file: no.cif"),
    "workflow,i0_path\nstxm,no.xsp\n": ("i0_path", "no such file: no.xsp"),
    "workflow,input_path\nnmf,/dev/null\n": ("input_path", "a device or a pipe: /dev/null", "copy the data into one"),
    "workflow,input_path\nnmf,a.nc \n": ("no such file: 'a.nc '",),
    "workflow,input_path\nnmf,*.nc\n": ("input_path", "no such file: *.nc", "Needs a file that is there"),
    "workflow,input_path,seed\nnmf,a.nc,1\nnmf,,2\n": ("entry 2", "no input_path", "would run on nmf_grains.nc"),
    'workflow,input_path\nnmf,"a\tb.nc"\n': ("input_path", "holds a line break or tab"),
    # rows that stand twice, names, limits
    "workflow,seed\nnmf,1\nnmf,2\nnmf,1\n": ("entry 3, line 4", "the same row as entry 1", "Needs each row once"),
    "workflow,input_path\nnmf,a.nc\nnmf,./a.nc\n": ("the same row as entry 1",),
    "workflow,input_path\nnmf,a.nc\nnmf,scans/../a.nc\n": ("the same row as entry 1",),
    "workflow,name,seed\nnmf,x,1\nnmf,x,2\n": ("name", "'x' is the folder of entry 1", "a name that no other row has"),
    "workflow,name,seed\nnmf,Grain,1\nnmf,grain,2\n": (
        "'grain' is the folder 'Grain', but for case or form, of entry 1",
    ),
    "workflow,name\nnmf,../x\n": (
        "name",
        "'../x' holds '/', a separator of folders",
        "Needs a name that is a folder's",
    ),
    "workflow,name\nnmf,index.html\n": ("holds the ending '.html', as the batch's own files have it",),
    "workflow,memory\nnmf,4\n": ("memory", "got memory=4", "needs a number with its unit"),
    "workflow,memory\nnmf,4G\n": ("got memory=4G", "as in 4GB"),
    "workflow,time\nnmf,1:30\n": ("time", "got time=1:30", "as in 30min or 1:30:00"),
    # the form of a table
    "workflow,seed\nnmf,1,2\n": (
        "entry 1, line 2",
        "an entry of 3 cells under 2 names",
        "quote a cell that holds a comma",
    ),
    "workflow,,seed\nnmf,x,2\n": ("the cell 'x' under no name", "Needs a name in the first line"),
}


@pytest.mark.parametrize("text", TABLES)
def test_a_fault_stands_in_the_table_with_its_cure(write, text):
    path = write(text)
    with pytest.raises(ManifestError) as told:
        plan_batch(path, "out")
    pattern = ".*".join(map(re.escape, TABLES[text]))
    assert re.search(pattern, str(told.value)), str(told.value)
    assert str(told.value).startswith(f"{path}: 1 fault in 1 of")
    assert not (path.parents[1] / "out").exists()


def test_there_are_many_wrong_manifests():
    assert len(TABLES) >= 50


#: Manifests in YAML and JSON: values keep their types.
TYPED = {
    "- {workflow: nmf, seed: [1, 2]}": ("got seed=[1, 2] of type list", "needs a value of type int"),
    "- {workflow: nmf, seed: true}": ("got seed=True of type bool",),
    "- {workflow: nmf, seed: 1:30}": ("got seed=1:30", "needs a value of type int"),
    "- {workflow: nmf, threshold: .nan}": ("got threshold=nan", "needs a value of type float"),
    "- {workflow: nmf, threshold: -.inf}": ("got threshold=-inf",),
    "- {workflow: nmf, seed: 1_000}": ("got seed=1_000",),
    "- {workflow: nmf, seed: 0x10}": ("got seed=0x10",),
    "- {workflow: stxm, align: 1}": ("got align=1 of type int", "needs a value of type bool"),
    "- {workflow: stxm, reader: {region: 1.5, zone: 2}}": ("reader.region", "got reader.region=1.5 of type float"),
    "- {workflow: stxm, reader: {entry: 2}}": ("got reader.entry=2 of type int", "Put a text into quotes"),
    "- {workflow: acom, cif_paths: [Ni.cif, 3]}": ("got cif_paths=['Ni.cif', 3] of type list",),
    "- {workflow: acom, cif_paths: []}": ("cif_paths is empty",),
    "- {workflow: nmf, input_path: ''}": ("input_path is empty",),
    "- {workflow: nmf, input_path: {a: 1}}": ("got input_path={'a': 1} of type dict",),
    "- {workflow: nmf, 3: 4}": ("the name 3", "put it into quotes"),
    "- 3": ("3, no mapping", "Needs 'name: value'"),
    "- {workflow: nmf, name: ''}": ("'' holds no letter",),
    "- {workflow: nmf, name: 'a\\u202e'}": ("holds '",),
    '- {workflow: nmf, name: "a\\u202eb"}': ("holds the control character U+202E",),
    '- {workflow: nmf, name: "a\\0b"}': ("holds the control character U+0000",),
    "- {workflow: nmf, time: 1:30:00, memory: 4 GB}\n- {workflow: nmf, time: 30, seed: 1}": ("entry 2", "got time=30"),
}


@pytest.mark.parametrize("text", TYPED)
def test_values_of_yaml_keep_their_types(write, text):
    with pytest.raises(ManifestError) as told:
        plan_batch(write(text, ".yaml"), "out")
    assert re.search(".*".join(map(re.escape, TYPED[text])), str(told.value)), str(told.value)


def test_all_faults_of_all_rows_stand_in_one_table(write):
    text = "notebook;input_path;rule;threshold;cif_paths;min_confidence\n"
    text += "nmf;a.nc;nonsense;5;;\nacom;no.nc;;;no.cif;\nstxm;a.nc;;;;7\nnmf;b.nc;;;;\nnmf;./b.nc;;;;\n"
    text += "acmo;;;;;\nnmf;;;x;;\nnmf;;;y;;\n"
    with pytest.raises(ManifestError) as told:
        plan_batch(write(text), "out")
    found = [(fault.row, fault.parameter) for fault in sorted(told.value.faults)]
    assert found == [
        *((1, "rule"), (1, "threshold"), (2, "cif_paths"), (2, "input_path")),
        *((3, "min_confidence"), (5, ""), (6, "notebook"), (7, "threshold"), (8, "threshold")),
    ]
    assert "9 faults in 7 of 8 rows. Nothing was run." in str(told.value)
    assert len(str(told.value).splitlines()) == 2 + 9


def test_a_long_value_does_not_fill_the_screen(write):
    with pytest.raises(ManifestError) as told:
        plan_batch(write("workflow,rule\nnmf," + "x" * 50000 + "\n"), "out")
    assert len(str(told.value)) < 2000


def test_an_equal_fault_of_many_rows_is_one_line(write):
    text = "workflow,sead\n" + "nmf,1\n" * 200
    with pytest.raises(ManifestError, match=r"200 faults in 200 of 200 rows") as told:
        read_manifest(write(text))
    assert "entries 1-200" in str(told.value)
    assert len(str(told.value).splitlines()) == 3


def test_the_error_is_both_kinds_and_survives_a_trip_to_another_process():
    error = ManifestError("jobs.csv", [Fault(1, "a.nc", "seed", "got seed=x", "needs a number")], 2)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.faults == error.faults
    assert isinstance(error, SchemaError)
    assert isinstance(error, ReadError)


def test_a_table_is_wrapped_to_a_width_and_hides_no_control_characters():
    faults = [Fault(n, f"scan_{n}\x1b[2J.nc", "input_path", "word " * 30, "cure " * 30) for n in (1, 2, 4)]
    text = format_faults(faults, width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert "3 files" in text
    assert "\x1b" not in format_faults(faults[:1])


#: Bytes and ending of files whose rows cannot be read -> what the message says.
UNREADABLE = [
    ("workflow,input_path\nnmf,Größe.nc\n".encode("latin-1"), ".csv", "the byte 0xF6 at line 2, byte 7 of the line"),
    ("workflow\nnmf # 3 \xb5m\n".encode("latin-1"), ".yaml", r"Latin-1 or Windows-1252 it is 'µ'\).*save it as UTF-8"),
    ("workflow\nnmf\n".encode("utf-16-le"), ".csv", "null characters, as in a text in UTF-16 without its mark"),
    (b"\xff\xfew\x00o\x00\x00\xd8", ".csv", "not UTF-16-LE"),
    (b"workflow,seed\n", ".csv", "a line of names and no row"),
    (b"workflow,seed\n , \n\n", ".csv", "a line of names and no row"),
    (b"", ".csv", "no row"),
    (b"workflow,seed,seed\nnmf,1,2\n", ".csv", r"the column\(s\) seed twice"),
    (b"workflow,seed;k_max\nnmf,1;3\n", ".csv", "commas and semicolons in the line of names"),
    (b'workflow,input_path\nnmf,"a.nc\nnmf,b.nc\n', ".csv", "a row from line 2 on that cannot be read"),
    (b'workflow,input_path\nnmf,a.nc\nnmf,"b.nc"x\n', ".csv", "a row from line 3 on that cannot be read"),
    (b"", ".yaml", "no row"),
    (b"[]", ".json", "a list without a row"),
    (b"workflow: nmf", ".yaml", "found a dict.*write a list of jobs"),
    (b"- workflow: nmf\n  seed: 1\n  seed: 2\n", ".yaml", "the name 'seed' twice in one entry"),
    (b'[{"workflow": "nmf", "seed": 1, "seed": 2}]', ".json", "the name 'seed' twice in one entry"),
    (b"- workflow: nmf\n\tseed: 1\n", ".yaml", "text that is not YAML"),
    (b"- !!python/object/apply:os.getcwd []\n", ".yaml", "text that is not YAML"),
    (b"[" * 5000, ".json", "too deep|not YAML"),
    (b"- workflow: nmf\n  seed: " + b"9" * 5000, ".yaml", "a value that cannot be read"),
]


@pytest.mark.parametrize(("content", "suffix", "said"), UNREADABLE)
def test_a_file_that_cannot_be_read_says_where_and_how_to_save_it(write, content, suffix, said):
    with pytest.raises(ReadError, match=said) as told:
        plan_batch(write(content, suffix), "out")
    assert f"jobs{suffix}" in str(told.value)
    assert "To fix it:" in str(told.value)
