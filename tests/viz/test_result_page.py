"""A result as one HTML page: what it holds, what it must not do, and how nearly its numbers are those of the result."""

import base64
import hashlib
import json
import re
import tomllib
import zlib

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.viz.acom.page_details import pack_answers
from phasekit.viz.static_page.content import describe_grid, keep_pixels, list_parameters, name_input
from phasekit.viz.static_page.packing import pack_section
from phasekit.viz.static_page.quantise import (
    Codes,
    count_positions,
    decode,
    quantise_by_ratio,
    quantise_evenly,
    store_indices,
)
from phasekit.viz.static_page.reduction import fit_sections

from ..tree import ROOT, tracked
from .explorer_data import SCAN, make_orientations, make_phases, make_references, make_stack

HOSTILE = '<script>alert("1")</script>\'"&amp;</title>'
FLOATS = npst.arrays(
    np.float64, npst.array_shapes(max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
)


def make_factors(shape=(8, 9), k=3) -> xr.Dataset:
    scan = pk.synthetic.overlapping_grains(n_components=k, shape=shape, detector=(32, 32), seed=1)
    return pk.nmf.truth_as_factors(scan)


@pytest.fixture(scope="module")
def orientations():
    found = make_orientations()
    return {name: found[name] for name in ("orientations", "peaks", "bank")}


def save_acom(data, path, **settings):
    return pk.viz.acom.save_page(data["orientations"], path, peaks=data["peaks"], bank=data["bank"], **settings)


@pytest.fixture(scope="module")
def pages(orientations, tmp_path_factory):
    """A page of each workflow, all with hostile names."""
    folder = tmp_path_factory.mktemp("pages")
    parameters = {"input_path": f"scans/{HOSTILE}.nc", "note": HOSTILE}
    phases, od = make_stack()
    names = {"reference": ["ref0", "ref1", "ref2"]}
    return {
        "acom": save_acom(orientations, folder / "acom.html", parameters=parameters),
        "nmf": pk.viz.nmf.save_page(make_factors(), folder / "nmf.html", parameters=parameters),
        "stxm": pk.viz.stxm.save_page(
            phases.assign_coords(names), folder / "stxm.html", od=od, refs=make_references(), parameters=parameters
        ),
    }


def read_content(path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)[1])


def read_arrays(path, section="maps") -> dict:
    """Codes of a section as the page unpacks them: bytes sorted by their place in the number."""
    text = path.read_text(encoding="utf-8")
    packed = re.search(rf'<script type="application/octet-stream" id="{section}">([^<]*)</script>', text)[1]
    data, start, found = zlib.decompress(base64.b64decode(packed)), 0, {}
    for entry in read_content(path)["tables"][section]:
        n, size = entry["count"], entry["bytes"]
        planes = np.frombuffer(data[start : start + n * size], np.uint8).reshape(size, n)
        codes = sum(planes[i].astype(np.int64) << (8 * i) for i in range(size)) if n else np.zeros(0, np.int64)
        coding = {key: entry[key] for key in ("kind", "low", "step", "missing")}
        found[entry["name"]] = Codes(codes.reshape(entry["shape"]), **coding)
        start += n * size
    assert start == len(data)
    return found


@pytest.mark.parametrize("workflow", ["acom", "nmf", "stxm"])
def test_a_page_asks_for_nothing_and_runs_one_script(pages, workflow):
    text = pages[workflow].read_text(encoding="utf-8")
    assert pages[workflow].stat().st_size < 1_000_000
    without = text.replace("http-equiv", "")
    assert not re.search(r"https?:|//cdn|@import|url\(|\bfetch\(|XMLHttpRequest|\bsrc=\"(?!data:)", without)
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert len(scripts) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", text, flags=re.DOTALL)[1]
    for part in (scripts[0], style):
        assert base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy


@pytest.mark.parametrize("workflow", ["acom", "nmf", "stxm"])
def test_no_name_becomes_markup(pages, workflow):
    text = pages[workflow].read_text(encoding="utf-8")
    assert "alert(" in text, "the name is there"
    assert "<script>alert" not in text
    assert text.lower().count("</title>") == 1
    content = read_content(pages[workflow])
    assert ["note", repr(HOSTILE)] in content["parameters"]
    assert content["version"]


def test_the_same_result_gives_the_same_page(orientations, tmp_path):
    texts = [save_acom(orientations, tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert texts[0] == texts[1]
    assert not list(tmp_path.glob(".*")), "no half file is left"


@given(FLOATS, st.sampled_from([8, 16]))
def test_even_steps_are_off_by_half_a_step_at_most(values, bits):
    coded = quantise_evenly(values, bits=bits)
    finite = np.isfinite(values)
    off = np.abs(decode(coded) - values)[finite]
    # Rounding of the range to double precision comes on top.
    assert np.all(off <= coded.step / 2 + 1e-9)
    assert off.max(initial=0.0) == coded.error
    np.testing.assert_array_equal(np.isnan(decode(coded)), ~finite)


@given(npst.arrays(np.float64, 7, elements=st.floats(1e-6, 1e9) | st.sampled_from([0.0, np.nan])))
def test_ratios_are_off_by_half_a_ratio_at_most(values):
    coded, positive = quantise_by_ratio(values), values > 0
    off = np.abs(decode(coded)[positive] / values[positive] - 1)
    assert np.all(off <= np.expm1(coded.step / 2) + 1e-9)
    np.testing.assert_allclose(off.max(initial=0.0), coded.error, atol=1e-9)
    np.testing.assert_array_equal(decode(coded)[values == 0], 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thresholds_are_compared_as_the_library_compares_them(dtype):
    positions = [round(0.001 * i, 9) for i in range(51)]
    # On the positions, next to them, and between them.
    on = np.array(positions, dtype)
    values = np.concatenate([on, np.nextafter(on, dtype(1)), np.nextafter(on, dtype(-1)), [dtype(np.nan)]])
    level = count_positions(values, positions, otherwise=0).codes
    for index, threshold in enumerate(positions):
        np.testing.assert_array_equal(level > index, values >= threshold)


def test_indices_beyond_the_last_are_none():
    assert decode(store_indices([0, 2, 3, -1, np.nan], n=3)).tolist()[:2] == [0.0, 2.0]
    assert np.isnan(decode(store_indices([3, -1, np.nan], n=3))).all()


def test_peaks_come_back_within_the_stated_error(pages, orientations):
    found, peaks = read_arrays(pages["acom"], "details"), orientations["peaks"]
    there = np.isfinite(peaks["qx"].values)
    np.testing.assert_array_equal(found["peak_count"].codes, there.sum(axis=-1))
    reach = max(float(abs(peaks[name]).max()) for name in ("qx", "qy"))
    for name, key in (("qx", "peak_x"), ("qy", "peak_y")):
        off = np.abs(decode(found[key]) - peaks[name].values[there]).max()
        assert off <= reach / 8192 + 1e-9, "half of a 4096th of the reach"
    ratio = decode(found["peak_intensity"]) / peaks["intensity"].values[there]
    assert np.abs(ratio - 1).max() < 0.03
    notes = " ".join(read_content(pages["acom"])["notes"])
    assert "position of a peak" in notes
    assert "1/Å" in notes


def test_spectra_are_rounded_to_a_quarter_of_the_noise_at_most(pages):
    _, od = make_stack()
    found = read_arrays(pages["stxm"], "details")
    off = np.abs(decode(found["density"]) - od["optical_density"].values).max()
    assert off <= 0.02 / 8 + 1e-9


@pytest.mark.parametrize("n_phases", [1, 30])
def test_one_pixel_and_many_phases_give_a_page(tmp_path, n_phases):
    phases = make_phases((1, 1) if n_phases == 1 else (5, 40), n=n_phases)
    content = read_content(pk.viz.stxm.save_page(phases, tmp_path / "page.html"))
    assert len(content["phases"]) == n_phases
    assert content["grid"]["nx"] == (1 if n_phases == 1 else 40)


def test_one_pixel_of_a_scan_gives_a_page(orientations, tmp_path):
    one = {name: orientations[name].isel(scan_y=[2], scan_x=[3]) for name in ("orientations", "peaks")}
    assert save_acom({**orientations, **one}, tmp_path / "acom.html").is_file()
    factors = make_factors().isel(scan_y=[0], scan_x=[0])
    assert pk.viz.nmf.save_page(factors, tmp_path / "nmf.html", background=-1).is_file()


def test_maps_of_nan_alone_give_a_page_of_nothing(orientations, tmp_path):
    data = orientations["orientations"]
    empty = data.map(lambda one: one.where(False) if one.dtype.kind == "f" else one, keep_attrs=True)
    empty["phase"] = data["phase"] * 0 - 1
    found = read_arrays(save_acom({**orientations, "orientations": empty}, tmp_path / "acom.html"))
    assert not found["seen_z"].codes.any()
    assert not found["level"].codes.any()
    phases = make_phases()
    phases["phase"] = phases["phase"] * 0 - 1
    for name in ("margin", "confidence", "composition"):
        phases[name] = phases[name] * np.nan
    assert pk.viz.stxm.save_page(phases, tmp_path / "stxm.html").is_file()


def test_an_empty_scan_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="is empty"):
        pk.viz.stxm.save_page(make_phases().isel(scan_y=slice(0)), tmp_path / "page.html")
    with pytest.raises(SchemaError, match="is empty"):
        pk.viz.nmf.save_page(make_factors().isel(scan_y=slice(0)), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_large_scan_is_thinned_and_says_so(orientations, tmp_path):
    # Many patterns with many peaks: 24 x 28 pixels of random places, which cannot be compressed.
    shape, rng = (24, 28), np.random.default_rng(0)
    wide = {
        name: orientations[name].isel(
            {dim: np.arange(n) % orientations[name].sizes[dim] for dim, n in zip(SCAN, shape, strict=True)}
        )
        for name in ("orientations", "peaks")
    }
    dims = (*SCAN, "peak")
    peaks = wide["peaks"].drop_dims("peak")
    for name in ("qy", "qx", "intensity", "prominence"):
        peaks[name] = (dims, rng.uniform(0.1, 1, (*shape, 150)), orientations["peaks"][name].attrs)
    coords = {dim: (dim, np.arange(n) * 5.0, {"units": "nm"}) for dim, n in zip(SCAN, shape, strict=True)}
    wide = {name: data.assign_coords(coords) for name, data in (wide | {"peaks": peaks}).items()}
    path = save_acom({**orientations, **wide}, tmp_path / "page.html", max_mb=0.3)
    assert path.stat().st_size <= 300_000
    content = read_content(path)
    step = content["detailStep"]
    assert step > 1
    assert any(f"one pixel in each block of {step} x {step}" in note for note in content["notes"])
    assert content["grid"]["step"] == 1, "maps are whole"
    kept = peaks.isel({dim: slice((step - 1) // 2, None, step) for dim in SCAN})
    found = read_arrays(path, "details")
    off = np.abs(decode(found["peak_x"]) - kept["qx"].values.ravel()).max()
    assert off <= 1 / 8192 + 1e-9


def test_spectra_of_a_large_stack_are_means_of_blocks(tmp_path):
    phases, od = make_stack((40, 60))
    path = pk.viz.stxm.save_page(phases, tmp_path / "page.html", od=od, max_mb=0.09)
    assert path.stat().st_size <= 90_000
    step = read_content(path)["detailStep"]
    assert step > 1
    found = decode(read_arrays(path, "details")["density"])
    mean = od["optical_density"].coarsen(scan_y=step, scan_x=step, boundary="pad").mean().values
    noise = decode(read_arrays(path, "details")["noise"])
    # Means of n pixels are less noisy by the square root of n, and rounded to a quarter of that.
    assert np.abs(found - mean).max() <= 0.02 / step / 8 * 1.01
    np.testing.assert_allclose(noise[:, 0, 0], 0.02 / step, rtol=0.01)


def test_nothing_fits_into_nothing():
    with pytest.raises(SchemaError, match="Raise max_mb"):
        fit_sections(lambda _: {}, lambda _: {"a": quantise_evenly(np.random.default_rng(0).normal(size=9999))}, 500)
    with pytest.raises(SchemaError, match="max_mb"):
        pk.viz.stxm.save_page(make_phases(), "never.html", max_mb=0.01)


def test_wrong_data_are_refused_with_a_cure(orientations, tmp_path):
    path = tmp_path / "page.html"
    phases, od = make_stack()
    with pytest.raises(SchemaError, match="thresholds has no 'reliability', needs one of threshold"):
        save_acom(orientations, path, thresholds={"reliability": 3})
    with pytest.raises(SchemaError, match="needs a number"):
        save_acom(orientations, path, thresholds={"threshold": np.nan})
    pixels = orientations["peaks"].copy()
    pixels["qx"].attrs["units"] = "px"
    with pytest.raises(SchemaError, match="calibrate_peaks"):
        save_acom({**orientations, "peaks": pixels}, path)
    with pytest.raises(SchemaError, match="'peaks' has"):
        save_acom({**orientations, "peaks": orientations["peaks"].isel(scan_y=slice(2))}, path)
    with pytest.raises(SchemaError, match="save_page: 'od' has"):
        pk.viz.stxm.save_page(phases, path, od=od.isel(scan_y=slice(3)))
    with pytest.raises(SchemaError, match="save_page"):
        pk.viz.nmf.save_page(phases, path)
    assert not path.exists()


def test_a_start_beyond_the_slider_is_one_of_its_positions(orientations, tmp_path):
    content = read_content(save_acom(orientations, tmp_path / "page.html", thresholds={"threshold": 77.5}))
    scale = content["scales"][0]
    assert scale["positions"][scale["start"]] == 77.5
    assert scale["positions"] == sorted(scale["positions"])


def test_of_a_notebooks_globals_only_the_declared_parameters_are_listed(orientations, tmp_path):
    given_values = {"__name__": "__main__", "input_path": "b.nc", "voltage_kv": 200.0, "secret": "never", "page": True}
    content = read_content(save_acom(orientations, tmp_path / "page.html", parameters=given_values))
    assert [name for name, _ in content["parameters"]] == ["input_path", "voltage_kv", "page"]
    assert content["title"] == "b.nc"


def test_lazy_results_give_the_page_of_loaded_ones(orientations, tmp_path):
    lazy = {name: orientations[name].chunk(scan_y=2) for name in ("orientations", "peaks")}
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    save_acom(orientations, first)
    save_acom({**orientations, **lazy}, second)
    assert first.read_bytes() == second.read_bytes()


def test_arrays_without_elements_are_packed():
    section = pack_section({"none": quantise_evenly(np.zeros(0)), "one": quantise_evenly([1.0])})
    assert [entry["count"] for entry in section.table] == [0, 1]


def test_style_and_scripts_are_part_of_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["phasekit"]
    for path in tracked("phasekit/viz/static_page"):
        if path.suffix != ".py":
            assert f"**/*{path.suffix}" in patterns, f"{path.name} is missing in a wheel"


def test_what_opens_a_storage_is_not_given_away(orientations, tmp_path):
    options = {"key": "AKIAKEY", "secret": "TOPSECRET"}
    parameters = {
        "input_path": "s3://user:HIDDEN@bucket/scan.zarr?X-Amz-Signature=SIGNED",
        "reader": {"storage_options": options, "step_nm": 4.0, "more": [{"storage_options": options}]},
        "reference_paths": ["https://TOKEN@host.org/a.csv?sig=SIGNED"],
    }
    text = save_acom(orientations, tmp_path / "page.html", parameters=parameters).read_text(encoding="utf-8")
    assert not [word for word in ("AKIAKEY", "TOPSECRET", "HIDDEN", "SIGNED", "TOKEN") if word in text]
    assert "s3://bucket/scan.zarr" in text
    assert "step_nm" in text


def test_the_heading_is_the_name_of_the_first_input():
    assert name_input({"input_path": ["a/x.nc", "a/y.nc"]}, "map") == "x.nc"
    assert name_input({"input_path": f"{'long/' * 90}x.nc"}, "map") == "x.nc"
    assert name_input({}, "map") == name_input(None, "map") == "map"


@pytest.mark.parametrize(("shape", "pixel"), [((1, 30), (50.0, 50.0)), ((30, 1), (50.0, 50.0))])
def test_a_line_has_square_pixels(shape, pixel):
    coordinates = {dim: np.arange(n) * 50.0 for dim, n in zip(("scan_y", "scan_x"), shape, strict=True)}
    grid = describe_grid(xr.Dataset(coords=coordinates), 1)
    assert (grid["dy"], grid["dx"]) == pixel


def test_peaks_that_are_lazy_are_searched_once(orientations, tmp_path):
    calls = []

    def count(block):
        calls.append(block.size)
        return block

    peaks = orientations["peaks"]
    qx = da.from_array(peaks["qx"].values, chunks=-1).map_blocks(count, dtype=peaks["qx"].dtype)
    lazy = peaks.assign(qx=peaks["qx"].copy(data=qx))
    calls.clear()
    pk.viz.acom.save_page(orientations["orientations"], tmp_path / "page.html", peaks=lazy, bank=orientations["bank"])
    assert len(calls) == 1


def test_answers_of_kept_pixels_hold_their_own_phase(orientations):
    data = orientations["orientations"].compute()
    kept = keep_pixels(data, 3)
    packed = pack_answers(kept, 2)
    assert packed["answer_phase"].codes.shape == kept["phase"].shape
    np.testing.assert_array_equal(decode(packed["answer_phase"]), kept["phase"])


@pytest.mark.parametrize(
    "parameters",
    [
        {"storage_options": {"key": "NEVER"}},
        {"input_path": "s3://user:a@NEVER@host/scan.nc"},
        {"input_path": "s3://user:a/NEVER@host/scan.nc"},
        {"input_path": "s3://user:NEVER?a@host/scan.nc"},
        {"files": {"https://user:NEVER@host/a.nc?sig=NEVER": 1}},
        {"files": {"s3://NEVER@host/a.nc"}},
        {"files": "s3://host/a.nc?sig=NEVER s3://user:NEVER@host/b.nc"},
    ],
)
def test_no_form_of_a_parameter_gives_a_secret_away(parameters):
    assert "NEVER" not in str(list_parameters(parameters, "acom"))


@pytest.mark.parametrize("address", ["s3://bucket/a@b/scan.nc", "http://host:9000/a@b.nc", "a?b@c.nc"])
def test_addresses_without_a_secret_stay_whole(address):
    assert list_parameters({"input_path": address}, "acom") == [["input_path", repr(address)]]
