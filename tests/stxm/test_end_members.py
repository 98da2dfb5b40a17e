"""End members of the data: found beside few references or none, with honest errors, limits and numbers."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import REFERENCES, require
from tests.stxm.field import references

ENERGIES = np.linspace(512.0, 528.0, 16)
SCAN = ("scan_y", "scan_x")


def specimen(which=(0, 3), noise=0.03, seed=0, shape=(48, 60)):
    """OD of stripes of phases with varying thickness, background and slope, and clusters cut across the phases."""
    rng = np.random.default_rng(seed)
    at = references()["reference_spectrum"].isel(reference=list(which)).interp(energy=ENERGIES).values
    y, x = np.mgrid[: shape[0], : shape[1]]
    phase = (x * len(which)) // shape[1]
    thick = 0.15 + 0.1 * np.sin(y / 5.0) + 0.05 * np.cos(x / 7.0)
    slope = rng.uniform(-0.1, 0.1, shape) * ((ENERGIES - 520) / 16)[:, None, None]
    exact = thick * at[phase].transpose(2, 0, 1) + rng.uniform(0, 0.5, shape) + slope
    cube = exact + rng.normal(0, noise, exact.shape)
    energy = ("energy", ENERGIES, {"units": "eV"})
    od = xr.Dataset(
        {
            "optical_density": (("energy", *SCAN), cube),
            "noise": (("energy", *SCAN), np.full(cube.shape, noise)),
            "valid": (SCAN, np.ones(shape, bool)),
        },
        coords={"energy": energy},
    )
    # two clusters for each phase, and one of mixed pixels
    label = 2 * phase + rng.integers(0, 2, shape)
    mixed = rng.random(shape) < 0.15
    label = np.where(mixed, 2 * len(which), label)
    responsibility = (label[..., None] == np.arange(2 * len(which) + 1)).astype(np.float32)
    spectrum = np.stack([cube[:, label == index].mean(axis=1) for index in range(responsibility.shape[-1])])
    clusters = xr.Dataset(
        {
            "responsibility": ((*SCAN, "cluster"), responsibility),
            "spectrum": (("cluster", "energy"), spectrum),
            "label": (SCAN, label),
        },
        coords={"energy": energy},
    )
    return od, clusters, at


def shape_of(spectra):
    """Spectra (n, energy) without their constant and slope, of norm 1."""
    basis = np.linalg.qr(np.stack([np.ones(ENERGIES.size), ENERGIES - 520.0], axis=1))[0]
    rest = spectra - (spectra @ basis) @ basis.T
    return rest / np.linalg.norm(rest, axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["extreme", "mcr"])
@pytest.mark.parametrize(
    ("which", "given"), [((0, 3), ()), ((0, 3), (0,)), ((0, 2, 3), ()), ((0, 2, 3), (1,)), ((2,), ())]
)
def test_phases_without_a_reference_are_found_and_counted(which, given, method):
    od, clusters, at = specimen(which)
    refs = references().isel(reference=[which[one] for one in given]) if given else None
    found = pk.stxm.find_end_members(od, clusters, refs, method=method)
    require(found, REFERENCES, step="test")
    own = found["origin"].values == 1
    assert own.sum() == len(which) - len(given)
    assert float(found["count_probability"].max()) > 0.99
    cosine = shape_of(found["reference_spectrum"].values[own]) @ shape_of(at).T
    missing = [index for index in range(len(which)) if index not in given]
    assert sorted(cosine.argmax(axis=1).tolist()) == missing
    assert (cosine.max(axis=1) > 0.995).all()


def test_references_stay_as_they_are_and_amounts_can_be_compared():
    od, clusters, _ = specimen()
    refs = references().isel(reference=[0])
    found = pk.stxm.find_end_members(od, clusters, refs)
    given = refs["reference_spectrum"].interp(energy=ENERGIES).values
    np.testing.assert_allclose(found["reference_spectrum"].values[0], given[0], rtol=1e-3)
    assert found["reference"].values.tolist() == ["Na3", "end member 1"]
    assert found["composition"].values[0] == 3.0
    assert np.isnan(found["composition"].values[1])
    assert found["reference_error"][0].isnull().all()
    contrast = found["reference_spectrum"].std("energy").values
    assert contrast[1] == pytest.approx(contrast[0])
    assert found["reference_spectrum"].attrs["units"] == "1/um"
    assert found["reference_spectrum"].min("energy").values == pytest.approx(float(given.min()), rel=1e-3)


def test_errors_are_the_scatter_over_repeated_measurements():
    many = [
        pk.stxm.find_end_members(*specimen(seed=seed)[:2], references().isel(reference=[0]), n=1) for seed in range(8)
    ]
    shape = np.array([one["reference_spectrum"].values[1] for one in many])
    shape -= shape.mean(axis=1, keepdims=True)
    claimed = np.sqrt((np.array([one["reference_error"].values[1] for one in many]) ** 2).mean())
    assert claimed == pytest.approx(shape.std(axis=0, ddof=1).mean(), rel=0.5)


def test_the_limit_explains_the_data_as_well_and_the_true_phase_lies_within():
    # the cluster of the second phase holds a third of the first, everywhere
    od, clusters, at = specimen()
    mixed = at[1] * 2 / 3 + at[0] / 3
    cube = od["optical_density"].values.copy()
    right = np.arange(od.sizes["scan_x"]) >= 30
    thick = 0.2
    cube[:, :, right] = thick * mixed[:, None, None] + np.random.default_rng(1).normal(0, 0.03, cube[:, :, right].shape)
    od = od.assign(optical_density=(("energy", *SCAN), cube))
    found = pk.stxm.find_end_members(od, clusters, references().isel(reference=[0]), n=1, method="extreme")
    own = found.isel(reference=1)
    # the share is that of spectra of equal contrast
    size = [np.linalg.norm(one - one.mean()) for one in at]
    true_share = 2 * size[1] / (2 * size[1] + size[0])
    assert 0 < float(own["least_purity"]) < true_share
    first, limit = found["reference_spectrum"].values[0], own["reference_limit"].values
    # what was found is a mixture of the limit and the reference
    design = np.stack([limit, first, np.ones_like(first)], axis=1)
    coefficient, *_ = np.linalg.lstsq(design, own["reference_spectrum"].values, rcond=None)
    assert (coefficient[:2] > 0).all()
    np.testing.assert_allclose(design @ coefficient, own["reference_spectrum"].values, atol=1e-6)


def test_the_map_says_which_phases_are_of_the_data(tmp_path):
    od, clusters, _ = specimen(shape=(24, 30))
    found = pk.stxm.find_end_members(od, clusters, references().isel(reference=[0]), n=1)
    phases = pk.stxm.label_phases(od, clusters, found, energy_offset=0.0, stray_light=0.0, background_slope=0.0)
    assert phases["reference_origin"].values.tolist() == [0, 1]
    assert phases["reference_origin"].attrs["flag_meanings"] == "reference data"
    back = pk.io.load(pk.io.save(found, tmp_path / "found.nc")).load()
    xr.testing.assert_equal(back, found)
    maps = pk.io.load(pk.io.save(phases, tmp_path / "phases.nc")).load()
    assert maps["reference_origin"].values.tolist() == [0, 1]
    legend = [text.get_text() for text in pk.viz.stxm.phase_figure(phases).legends[0].get_texts()]
    assert legend[:2] == ["Na3", "end member 1 (from the data)"]
    titles = [ax.get_title() for ax in pk.viz.stxm.spectra_figure(clusters, found).axes]
    assert "end member 1 (from the data)" in titles


def test_any_chunks_missing_values_and_thickness_do_not_matter():
    od, clusters, _ = specimen()
    refs = references().isel(reference=[3])
    before = od.copy(deep=True)
    found = pk.stxm.find_end_members(od, clusters, refs, n=1)
    xr.testing.assert_identical(od, before)
    lazy = pk.stxm.find_end_members(od.chunk({"energy": 5, "scan_y": 13, "scan_x": 17}), clusters, refs, n=1)
    np.testing.assert_allclose(lazy["reference_spectrum"], found["reference_spectrum"], rtol=1e-6)
    thick = od.assign(optical_density=2 * od["optical_density"] + 0.3, noise=2 * od["noise"])
    twice = pk.stxm.find_end_members(thick, clusters, refs, n=1)
    np.testing.assert_allclose(twice["reference_spectrum"], found["reference_spectrum"], rtol=1e-5)
    np.testing.assert_allclose(twice["least_purity"], found["least_purity"], rtol=1e-4)
    gaps = od.copy(deep=True)
    gaps["optical_density"].values[np.random.default_rng(0).random(gaps["optical_density"].shape) < 0.02] = np.nan
    other = pk.stxm.find_end_members(gaps, clusters, refs, n=1)
    difference = (other["reference_spectrum"] - found["reference_spectrum"])[1]
    assert float(np.abs(difference).max()) < 6 * float(found["reference_error"][1].max())


def test_wrong_input_is_refused_with_its_cure():
    od, clusters, _ = specimen(shape=(24, 30))
    with pytest.raises(SchemaError, match="Make them from this OD"):
        pk.stxm.find_end_members(od.isel(scan_y=slice(0, 9)), clusters)
    with pytest.raises(SchemaError, match="'extreme' or 'mcr'"):
        pk.stxm.find_end_members(od, clusters, method="nmf")
    for n in (0, 2.5, True, "two"):
        with pytest.raises(SchemaError, match="at least 1"):
            pk.stxm.find_end_members(od, clusters, n=n)
    many = xr.concat([pk.synthetic.vanadium_references()] * 2, "reference").isel(reference=slice(0, 7))
    with pytest.raises(SchemaError, match="Select those that may occur"):
        pk.stxm.find_end_members(od, clusters, many.assign_coords(reference=list("abcdefg")))
    with pytest.raises(SchemaError, match="Lower n=9"):
        pk.stxm.find_end_members(od, clusters, n=9)
    few = od.isel(energy=[0, 6, 9]), clusters.isel(energy=[0, 6, 9])
    with pytest.raises(SchemaError, match="slope=False"):
        pk.stxm.find_end_members(*few, n=2)
