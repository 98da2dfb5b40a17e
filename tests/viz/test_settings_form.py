"""The form writes the settings that a batch run reads, with and without a screen."""

import pytest
import yaml

import phasekit as pk
from phasekit.batch import read_manifest
from phasekit.errors import SchemaError
from phasekit.viz import SettingsForm


@pytest.fixture(params=[False, True], ids=["headless", "interactive"])
def form_class(request, monkeypatch):
    """The form with plain values, and with fields (no extension is loaded for them)."""
    from phasekit.viz import setup

    monkeypatch.setitem(setup.__globals__["_STATE"], "interactive", request.param)
    return SettingsForm


GIVEN = {
    "stxm": {
        "input_path": "stack.hdf5",
        "reference_paths": ["a.csv", "b.csv"],
        "reader": {"region": 1},
        "align": False,
    },
    "nmf": {"input_path": "ä scan: 1.hspy", "k_max": 8, "scale": "none"},
    "acom": {"cif_paths": ["Ni.cif"], "pixel_size": 0.025, "reader": {"scan_shape": [64, 64]}},
    "virtual": {},
}


@pytest.mark.parametrize("workflow", GIVEN)
def test_what_the_form_writes_is_what_a_batch_run_reads(form_class, workflow, tmp_path):
    form = form_class(workflow, **GIVEN[workflow])
    (job,) = read_manifest(form.save(tmp_path / "new" / "jobs.yaml"))
    assert job.workflow == workflow
    for name, value in GIVEN[workflow].items():
        if not name.endswith(("_path", "_paths")):  # those count from the folder of the file
            assert job.parameters[name] == value
    assert set(job.parameters) == set(GIVEN[workflow])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["jobs.yaml"]


@pytest.mark.parametrize("workflow", GIVEN)
def test_every_parameter_is_a_value_of_the_form(form_class, workflow):
    declared = pk.batch.notebook_parameters(pk.batch.find_notebook(workflow))
    values = form_class(workflow).values
    assert set(values) == set(declared) - {"interactive", "output_dir"}
    assert values == {name: declared[name].default for name in values}


def test_only_what_differs_is_written(form_class):
    assert yaml.safe_load(form_class("nmf", k_max=8).as_yaml()) == [{"workflow": "nmf", "k_max": 8}]
    assert yaml.safe_load(form_class("nmf", k_max=12).as_yaml()) == [{"workflow": "nmf"}]


def test_a_moved_field_is_written(monkeypatch):
    from phasekit.viz import setup

    monkeypatch.setitem(setup.__globals__["_STATE"], "interactive", True)
    form = SettingsForm("nmf")
    form._fields["k_max"].value = 5
    form._fields["reader"].value = "{scan_shape: [4, 5]}"
    assert form.values["reader"] == {"scan_shape": [4, 5]}
    assert yaml.safe_load(form.as_yaml())[0]["k_max"] == 5
    form._fields["reader"].value = "{scan_shape: [4, 5"
    with pytest.raises(SchemaError, match="reader"):
        form.as_yaml()
    form._fields["reader"].value = "4 x 5"
    with pytest.raises(SchemaError, match="reader"):
        form.as_yaml()


@pytest.mark.parametrize(
    ("given", "says"),
    [({"k_maximum": 3}, "k_maximum"), ({"k_max": "many"}, "k_max"), ({"output_dir": "x"}, "output_dir")],
)
def test_wrong_values_are_refused_by_name(form_class, given, says):
    with pytest.raises(SchemaError, match=says):
        form_class("nmf", **given)


def test_unknown_workflows_and_endings_are_refused(form_class, tmp_path):
    with pytest.raises(SchemaError, match="virtual"):
        form_class("tomography")
    with pytest.raises(SchemaError, match=r"\.yaml"):
        form_class("nmf").save(tmp_path / "jobs.txt")


def test_help_is_shown_and_escaped(form_class, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    form_class("nmf", input_path="<b>.nc")._ipython_display_()
    (one,) = shown
    if hasattr(one, "children"):
        assert [row.children[1].value for row in one.children if row.children[1].value]
    else:
        assert "largest number of components to try" in one.data
        assert "<b>.nc" not in one.data
