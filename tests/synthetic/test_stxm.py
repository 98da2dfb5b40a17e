"""The STXM truth generator: physics put in is physics that can be read out."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import STACK, require
from phasekit.synthetic.recipes_stxm import stxm_nvpf

CLEAN = {
    "photons": np.inf,
    "i0_drift": 0.0,
    "frame_drift_px": 0.0,
    "hot_pixels": 0.0,
    "probe_fwhm_nm": 0.0,
    "stray_light": 0.0,
}


def density(stack: xr.Dataset) -> xr.DataArray:
    return -np.log(stack["intensity"] / stack["truth_i0"])


def test_stack_is_a_stack_with_truth_that_is_not_square():
    stack = pk.synthetic.stxm_stack(shape=(40, 64), n_particles=4, seed=3)
    require(stack, STACK, step="test")
    assert dict(stack["intensity"].sizes) == {"energy": 13, "scan_y": 40, "scan_x": 64}
    material = stack["truth_thickness"] > 0
    assert (material == (stack["truth_phase"] >= 0)).all()
    assert (material == stack["truth_composition"].notnull()).all()
    assert 0.1 < float(material.mean()) < 0.7
    assert not material.isel(scan_y=0).any()
    assert not (stack["truth_transition"] & ~material).any()


def test_same_seed_same_stack_other_seed_another():
    first, again, other = (pk.synthetic.stxm_stack(shape=(32, 48), seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_identical(first, again)
    assert not first["intensity"].equals(other["intensity"])


@pytest.mark.parametrize("seed", range(4))
def test_every_phase_occurs(seed):
    stack = pk.synthetic.stxm_stack(seed=seed)
    assert set(np.unique(stack["truth_phase"])) == {-1, 0, 1, 2, 3, 4}


def test_clean_stack_obeys_lambert_beer():
    stack = pk.synthetic.stxm_stack(**CLEAN, rim_nm=0.0, seed=1)
    refs = pk.synthetic.vanadium_references().interp(energy=stack["energy"])
    material = stack["truth_phase"].where(stack["truth_phase"] >= 0, 0)
    expected = refs["reference_spectrum"].isel(reference=material) * stack["truth_thickness"] / 1000
    # The truth is rounded to eight digits of its largest value: half of the last one, as optical density.
    half = 0.5 * 10.0 ** (np.ceil(np.log10(stack["truth_thickness"].max())) - 8)
    largest = float(refs["reference_spectrum"].max() / 1000 * half)
    np.testing.assert_allclose(density(stack).transpose(*expected.dims), expected, rtol=0, atol=largest)
    assert not stack["truth_transition"].any()


def test_energy_offset_is_true_minus_axis():
    axis = np.array([514.0, 516.5, 519.0, 525.0])
    shifted = pk.synthetic.stxm_stack(**CLEAN, energies=axis, energy_offset=0.3, seed=1)
    straight = pk.synthetic.stxm_stack(**CLEAN, energies=axis + 0.3, seed=1)
    np.testing.assert_allclose(shifted["intensity"].values, straight["intensity"].values)
    assert shifted.attrs["truth_energy_offset"] == 0.3
    assert shifted["energy"].values.tolist() == axis.tolist()


def test_frames_are_moved_by_the_stated_shift():
    refs = pk.synthetic.vanadium_references([505.0, 520.0, 535.0])
    flat = refs.assign(reference_spectrum=refs["reference_spectrum"] * 0 + 2.0)
    flat["reference_spectrum"].attrs["units"] = "1/um"
    stack = pk.synthetic.stxm_stack(
        **{**CLEAN, "frame_drift_px": 1.0, "probe_fwhm_nm": 60.0}, references=flat, energies=[510, 515, 520], seed=4
    )
    frames = 1 - stack["intensity"] / stack["truth_i0"]  # linear, so that its centre of mass moves with the frame
    for axis in "yx":
        line = xr.DataArray(np.arange(frames.sizes[f"scan_{axis}"]), dims=f"scan_{axis}")
        centre = (frames * line).sum(("scan_y", "scan_x")) / frames.sum(("scan_y", "scan_x"))
        np.testing.assert_allclose(centre - centre[0], stack[f"truth_shift_{axis}"], atol=0.02)


def test_counts_have_poisson_noise_and_drifting_i0():
    stack = pk.synthetic.stxm_stack(photons=400, hot_pixels=0.0, i0_drift=0.05, seed=5)
    empty = stack["truth_phase"].rolling(scan_y=17, scan_x=17, center=True).max() < 0
    counts = stack["intensity"].where(empty)
    mean, spread = counts.mean(("scan_y", "scan_x")), counts.var(("scan_y", "scan_x"))
    np.testing.assert_allclose(mean, stack["truth_i0"], rtol=0.01)
    np.testing.assert_allclose(spread / mean, 1, atol=0.15)
    assert float(stack["truth_i0"].std() / stack["truth_i0"].mean()) == pytest.approx(0.05, rel=1e-6)


def test_dose_changes_the_noise_and_not_the_specimen():
    dim, bright = (pk.synthetic.stxm_stack(photons=n, hot_pixels=0.0, seed=6) for n in (100, 10000))
    xr.testing.assert_equal(dim["truth_phase"], bright["truth_phase"])
    xr.testing.assert_equal(dim["truth_shift_y"], bright["truth_shift_y"])
    ideal = pk.synthetic.stxm_stack(photons=np.inf, hot_pixels=0.0, seed=6)
    ratio = [((s["intensity"] / s["truth_i0"] - ideal["intensity"] / ideal["truth_i0"]).std()) for s in (dim, bright)]
    assert float(ratio[0] / ratio[1]) == pytest.approx(10, rel=0.05)


def test_stray_light_limits_optical_density():
    stray = {**CLEAN, "stray_light": 0.05}
    plain, flat = (density(pk.synthetic.stxm_stack(**effects, seed=7)) for effects in (CLEAN, stray))
    np.testing.assert_allclose(np.exp(-flat), np.exp(-plain) * 0.95 + 0.05)
    assert float(flat.max()) < -np.log(0.05)


def test_hot_pixels_come_in_the_stated_share():
    cold, hot = (pk.synthetic.stxm_stack(hot_pixels=share, seed=8)["intensity"].astype(float) for share in (0, 0.01))
    assert float((hot > 2.5 * cold).mean()) == pytest.approx(0.01, rel=0.1)


def test_pre_edge_slope_adds_to_density():
    plain = density(pk.synthetic.stxm_stack(**CLEAN, seed=9))
    sloped = pk.synthetic.stxm_stack(**CLEAN, pre_edge_slope=0.01, seed=9)
    gain = (density(sloped) - plain).where(sloped["truth_phase"] >= 0).mean(("scan_y", "scan_x"))
    np.testing.assert_allclose(gain, 0.01 * (plain["energy"] - plain["energy"][0]), rtol=0.1, atol=1e-9)


def test_transition_rims_lie_between_grains():
    stack = pk.synthetic.stxm_stack(seed=0)
    composition, rim = stack["truth_composition"], stack["truth_transition"]
    known = pk.synthetic.vanadium_references()["composition"]
    distance = abs(composition - known).min("reference")
    assert float(distance.where(rim).min()) > float(distance.where(~rim & composition.notnull()).max())
    assert 0.05 < float(rim.sum() / composition.notnull().sum()) < 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"photon": 3}, "unknown settings"),
        ({"photons": 0.0}, "photons > 0"),
        ({"stray_light": 1.0}, "shares within"),
        ({"shape": (8, 40)}, "at least 16"),
        ({"energies": [520.0, 510.0]}, "increasing"),
        ({"energies": [480.0, 510.0]}, "references cover"),
        ({"references": pk.synthetic.vanadium_references().drop_vars("composition")}, "composition"),
    ],
)
def test_wrong_settings_are_refused_with_a_cure(settings, words):
    with pytest.raises(SchemaError, match=words):
        pk.synthetic.stxm_stack(**settings)


def test_references_are_left_untouched_and_may_be_others():
    refs = pk.synthetic.vanadium_references(below_one=False).isel(reference=[2, 0])
    before = refs.copy(deep=True)
    stack = pk.synthetic.stxm_stack(references=refs, seed=0)
    xr.testing.assert_identical(refs, before)
    assert stack["reference"].values.tolist() == ["Na2", "Na3"]
    phase = stack["truth_composition"].where(~stack["truth_transition"])
    assert float(abs(phase.where(stack["truth_phase"] == 1) - 3).max()) < 0.3


def test_stack_survives_a_file(tmp_path):
    stack = pk.synthetic.stxm_stack(shape=(20, 30), n_particles=2, seed=0)
    xr.testing.assert_identical(pk.io.load(pk.io.save(stack, tmp_path / "stack.nc")).compute(), stack)


def test_sample_is_reproducible_small_and_moderately_noisy(tmp_path):
    files = pk.samples.make("stxm_nvpf", tmp_path)
    assert sorted(file.name for file in files) == ["stxm_nvpf.nc", "stxm_nvpf_references.csv"]
    assert sum(file.stat().st_size for file in files) < 3_000_000
    stack = pk.io.open_stxm(tmp_path / "stxm_nvpf.nc")
    xr.testing.assert_equal(stack["intensity"].compute(), stxm_nvpf()["stxm_nvpf"]["intensity"])
    refs = pk.io.open_references(tmp_path / "stxm_nvpf_references.csv")
    made = pk.synthetic.vanadium_references()
    np.testing.assert_allclose(refs["reference_spectrum"], made["reference_spectrum"], rtol=1e-5)
    assert refs["composition"].values.tolist() == made["composition"].values.tolist()
    noise = 1 / np.sqrt(stack["intensity"].where(stack["truth_phase"] >= 0)).compute()
    assert 0.03 < float(noise.median()) < 0.05
    assert stack.sizes["energy"] >= 10
