"""What a path holds, and what a run needs beside its result."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.app.data_root import DataRoot
from phasekit.app.sources import READERS, Wish, open_source
from phasekit.errors import ReadError, SchemaError
from tests.viz.explorer_data import make_orientations, make_phases, make_references
from tests.viz.explorer_data import make_stack as make_density

from .serving import make_root, make_run, make_scan, write_record


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> DataRoot:
    return DataRoot(make_root(tmp_path_factory.mktemp("sources")))


@pytest.fixture(autouse=True)
def _static():
    pk.viz.setup(interactive=False)


def explore(root, text, **wish):
    source = open_source(Wish(root.find(text), **wish), root)
    return source, source.build()


def test_a_stack_shows_the_spectrum_of_a_pixel(root):
    source, explorer = explore(root, "stack.nc")
    assert source.title == READERS[1]
    counts = pk.io.load(root.folder / "stack.nc")["intensity"].values
    assert counts.mean(axis=0)[explorer.values["pixel"]] == counts.mean(axis=0).min()
    assert explorer.values["energy"] == 1 + counts.mean(axis=(1, 2)).argmin()
    explorer.choose(pixel=(3, 5), region={"x": [-10, 30, 30, -10], "y": [-10, -10, 30, 30]})
    lines = explorer.draw("spectrum").lines
    assert np.allclose(lines[0].y, counts[:, 3, 5])
    assert lines[-1].name == "region, 4 pixels"
    assert np.allclose(lines[-1].y, counts[:, :2, :2].mean(axis=(1, 2)))
    assert np.allclose(explorer.draw("map").values, counts[2])


def test_a_scan_shows_the_pattern_under_the_cursor(root):
    source, explorer = explore(root, "scan.nc")
    assert source.title == READERS[2]
    counts = make_scan()["intensity"].values
    explorer.choose(pixel=(3, 5))
    assert np.allclose(explorer.draw("pattern").values, counts[3, 5])
    assert np.allclose(explorer.draw("map").values, counts.sum(axis=(2, 3)))
    explorer.choose(pattern="mean")
    assert np.allclose(explorer.draw("pattern").values, counts.mean(axis=(0, 1)))


def test_of_a_large_scan_some_patterns_are_read(root, monkeypatch):
    monkeypatch.setattr("phasekit.app.previews._SCAN_BYTES", 0)
    monkeypatch.setattr("phasekit.app.previews._SAMPLED", 4)
    _, explorer = explore(root, "scan.nc")
    picture = explorer.draw("map")
    assert picture.title == "sum of every 3. pattern along each axis"
    assert np.allclose(picture.values, make_scan()["intensity"].values.sum(axis=(2, 3))[1::3, 1::3])


def test_a_run_shows_the_patterns_that_its_record_names(root):
    source, explorer = explore(root, "runs/one")
    assert (source.title, list(source.notes)) == ("run of nmf", [])
    assert explorer.thresholds == {"threshold": 0.8}
    explorer.choose(pixel=(3, 5))
    assert np.allclose(explorer.draw("pattern").values, make_scan()["intensity"].values[3, 5])
    assert explore(root, "runs/one/result.nc")[0].title == "run of nmf"


def test_an_input_outside_the_root_is_not_read_and_a_note_says_which_option_allows_it(root):
    source, explorer = explore(root, "runs/far")
    assert "pattern" not in explorer.values
    assert len(source.notes) == 1
    assert f"outside the data root {root.folder}" in source.notes[0]
    assert f"--root {root.folder.parent}" in source.notes[0]
    wider = DataRoot(root.folder.parent)
    assert "pattern" in explore(wider, "root/runs/far")[1].values


@pytest.mark.parametrize("name", ["../../../secret/other.nc", "../../../../secret/other.nc", "link.nc"])
def test_no_record_leads_outside_the_root(root, name):
    folder = make_run(root.folder / "runs" / f"new {name.replace('/', '_')}", name)
    (folder / "link.nc").symlink_to(root.folder.parent / "secret" / "other.nc")
    source, explorer = explore(root, f"runs/{folder.name}")
    assert "pattern" not in explorer.values
    assert len(source.notes) == 1


def test_an_input_is_found_beside_the_result_of_another_machine(root):
    folder = make_run(root.folder / "runs" / "moved", "D:/data/copy.nc")
    pk.io.save(make_scan(), folder / "copy.nc")
    assert "pattern" in explore(root, "runs/moved")[1].values


def test_an_input_of_another_scan_leaves_the_maps(root):
    folder = make_run(root.folder / "runs" / "changed", str(root.folder / "other.nc"))
    pk.io.save(make_scan().isel(scan_y=slice(0, 4)), root.folder / "other.nc")
    source, explorer = explore(root, "runs/changed")
    assert "pattern" not in explorer.values
    assert "Shown without patterns" in source.notes[0]
    assert folder.exists()


@pytest.mark.parametrize("values", [None, [1], {"input_path": 7, "threshold": "high", "reader": {"bad": 1}}])
def test_a_record_may_hold_anything(root, tmp_path_factory, values):
    folder = make_run(root.folder / "runs" / tmp_path_factory.mktemp("odd").name, "x.nc")
    write_record(folder, "no workflow", values)
    _, explorer = explore(root, f"runs/{folder.name}")
    assert explorer.thresholds == {"threshold": 0.75}


def test_a_run_that_failed_says_so(root):
    folder = make_run(root.folder / "runs" / "failed", "x.nc")
    write_record(folder, "nmf", {}, status="failed", error="cell 3: no peaks")
    with pytest.raises(ReadError, match=r"did not end well .failed.: cell 3: no peaks"):
        explore(root, "runs/failed")


def test_spectra_of_a_phase_map_are_made_again(root):
    phases, od = make_density()
    folder = root.folder / "runs" / "stxm"
    folder.mkdir()
    counts = 1e5 * np.exp(-od["optical_density"])
    pk.io.save(counts.assign_attrs(units="counts").to_dataset(name="intensity"), root.folder / "counts.nc")
    make_references()["reference_spectrum"].to_pandas().T.to_csv(root.folder / "refs.csv")
    incident = "".join(f"{energy},1e5\n" for energy in od["energy"].values)
    (root.folder / "i0.csv").write_text(f"energy,i0\n{incident}", encoding="utf-8")
    pk.io.save_results(folder / "result.nc", phases=phases.assign_attrs(schema="PHASES"))
    inputs = {"input_path": str(root.folder / "counts.nc"), "reference_paths": str(root.folder / "refs.csv")}
    inputs["i0_path"] = str(root.folder / "i0.csv")
    write_record(folder, "stxm", {**inputs, "align": False, "margin": 0.01})
    source, explorer = explore(root, "runs/stxm")
    assert not source.notes
    assert explorer.thresholds == {"margin": 0.01, "min_confidence": 0.75}
    names = [line.name for line in explorer.draw("spectrum").lines]
    assert names[0] == "pixel"
    assert len(names) == 3  # and the best two references


def test_templates_are_drawn_over_the_patterns_of_a_run(root):
    data = make_orientations()
    folder = root.folder / "runs" / "acom"
    folder.mkdir()
    pk.io.save(data["patterns"], root.folder / "foil.nc")
    pk.io.save_results(folder / "result.nc", orientations=data["orientations"].assign_attrs(schema="ORIENTATIONS"))
    cif = str(pk.samples.path("Ni.cif"))  # a sample of phasekit may be read from any root
    inputs = {"input_path": str(root.folder / "foil.nc"), "cif_paths": [cif], "detector_rotation_deg": 20.0}
    write_record(folder, "acom", {**inputs, "resolution_deg": 4.0, "reliability": 20.0})
    source, explorer = explore(root, "runs/acom")
    assert not source.notes
    assert explorer.thresholds == {"threshold": 20.0}
    expected = pk.viz.acom.explorer(**data)
    for one in (expected, explorer):
        one.choose(pixel=(2, 3))
    marks = [one.draw("pattern").marks for one in (expected, explorer)]
    for kind in (0, 1):  # peaks, and the best template
        assert np.allclose(marks[0][kind].x, marks[1][kind].x, atol=0.02)


def test_peaks_of_a_large_scan_are_found_when_asked(root, monkeypatch):
    monkeypatch.setattr("phasekit.app.workflow_views._MOST_PATTERNS", 10)
    source, explorer = explore(root, "runs/acom") if (root.folder / "runs" / "acom").exists() else (None, None)
    if source is None:
        pytest.skip("runs after the test of the templates")
    assert source.more == "find the peaks of all 42 patterns, and draw the templates"
    assert "template" not in explorer.values
    assert explore(root, "runs/acom", is_full=True)[0].more == ""


def test_maps_of_other_results_are_shown_with_their_words(root):
    phases = make_phases()
    maps = xr.Dataset({"status": phases["status"], "image": phases["margin"].expand_dims("detector")})
    pk.io.save(maps.assign_coords(detector=["bright"]).assign_attrs(schema="OTHER"), root.folder / "maps.nc")
    source, explorer = explore(root, "maps.nc")
    assert source.title == "OTHER"
    assert sorted(explorer.controls or {"image: detector bright": 0, "status": 0}) == [
        "image: detector bright",
        "status",
    ]
    explorer.choose(show="status", pixel=(0, 0))
    word = "background" if phases["phase"].values[0, 0] < 0 else "ok"
    assert explorer.read_number() == f"row 0, column 0: {word}"


@pytest.mark.parametrize(
    ("text", "wish", "kind", "message"),
    [
        ("<b>wrong.h5", {}, ReadError, "To fix it"),
        ("runs", {}, ReadError, "a folder without a result.nc"),
        ("stack.nc", {"arguments": "{"}, SchemaError, "is no JSON"),
        ("stack.nc", {"arguments": "[1]"}, SchemaError, "no JSON object"),
        ("scan.nc", {"arguments": '{"scan_shap": 1}', "reader": READERS[2]}, SchemaError, "takes no 'scan_shap'"),
        ("scan.nc", {"arguments": '{"path": "/etc/passwd"}', "reader": READERS[2]}, SchemaError, "takes no 'path'"),
        ("scan.nc", {"reader": READERS[1]}, ReadError, "To fix it"),
    ],
)
def test_what_cannot_be_opened_says_how_to_mend_it(root, text, wish, kind, message):
    with pytest.raises(kind, match=message):
        explore(root, text, **wish)


def test_arguments_reach_the_reader(root):
    np.save(root.folder / "line.npy", np.ones((12, 8, 8), np.uint16))
    _, explorer = explore(root, "line.npy", arguments='{"scan_shape": [3, 4]}')
    assert explorer.draw("map").values.shape == (3, 4)


def test_pickles_are_refused(root):
    np.save(root.folder / "objects.npy", np.array([{}, {}], dtype=object))
    with pytest.raises(ReadError, match="values of type object"):
        explore(root, "objects.npy")


@pytest.mark.parametrize("pattern", ["/*/*", "../../../*/other.nc", "no*/../../../../secret/*"])
def test_a_pattern_of_a_record_tells_nothing_of_other_folders(root, pattern):
    folder = make_run(root.folder / "runs" / f"pattern {pattern.replace('/', '_')}", pattern)
    source, explorer = explore(root, f"runs/{folder.name}")
    assert "pattern" not in explorer.values
    assert len(source.notes) == 1
    assert "outside the data root" in source.notes[0]
    assert not [name for name in ("other.nc", "etc", "secret") if name in source.notes[0].replace(pattern, "")]
