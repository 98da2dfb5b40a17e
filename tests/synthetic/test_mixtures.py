"""Simulated mixtures: what the detector sees of them follows from what is in them."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import binary_erosion
from scipy.optimize import nnls

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import STACK, require
from phasekit.synthetic.mixtures.images import perturb_spectra
from phasekit.synthetic.mixtures.stack import KINDS
from phasekit.synthetic.mixtures.truth import LESSER_SHARE, MixtureClass

CLEAN = {
    "photons": np.inf,
    "i0_drift": 0.0,
    "frame_drift_px": 0.0,
    "hot_pixels": 0.0,
    "probe_fwhm_nm": 0.0,
    "stray_light": 0.0,
}
SMALL = {"shape": (32, 40), "n_particles": 3}
PROBE = {"probe_fwhm_nm": 80.0}  # two pixels


def density(stack: xr.Dataset) -> np.ndarray:
    return -np.log(stack["intensity"] / stack["truth_i0"]).transpose("scan_y", "scan_x", "energy").values


def spectra_of(stack: xr.Dataset, refs: xr.Dataset) -> np.ndarray:
    return np.stack([np.interp(stack["energy"], refs["energy"], row) for row in refs["reference_spectrum"].values])


def linear_density(stack: xr.Dataset, refs: xr.Dataset) -> np.ndarray:
    """Optical density if it, and not the intensity, were averaged over the pixel."""
    amounts = stack["truth_specimen_fraction"].fillna(0.0).values * stack["truth_thickness"].values[..., None]
    return amounts @ spectra_of(stack, refs) * 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_stack_is_a_stack_with_truth_that_agrees_with_itself(kind):
    stack = pk.synthetic.mixture_stack(kind, **SMALL, seed=3)
    require(stack, STACK, step="test")
    fraction, phase = stack["truth_fraction"].values, stack["truth_phase"].values
    material, sort = phase >= 0, stack["truth_class"].values
    assert 0.05 < material.mean() < 0.7
    assert (material == (sort != MixtureClass.EMPTY)).all()
    for name in ("truth_fraction", "truth_specimen_fraction"):
        total = stack[name].sum("reference", skipna=False).values
        np.testing.assert_allclose(total[material], 1, atol=1e-7)
        assert np.isnan(total[~material]).all()
    assert (fraction[material].argmax(axis=-1) == phase[material]).all()
    lesser = 1 - fraction[material].max(axis=-1)
    np.testing.assert_array_equal(sort[material] == MixtureClass.PURE, lesser <= LESSER_SHARE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thin_specimen_is_seen_as_the_mean_of_its_mass(kind):
    """Where hardly anything is absorbed, an independent fit finds the fraction under the probe, whatever the grains."""
    thin = pk.synthetic.iron_references()
    thin["reference_spectrum"].values[:] *= 1e-6
    stack = pk.synthetic.mixture_stack(kind, **SMALL, references=thin, **{**CLEAN, **PROBE}, seed=4)
    design = spectra_of(stack, thin).T
    use = stack["truth_phase"].values >= 0
    # Both in units of their own size: the solver's tolerance is absolute.
    found = np.array([nnls(design / design.max(), spectrum / spectrum.max())[0] for spectrum in density(stack)[use]])
    found /= found.sum(axis=1, keepdims=True)
    # The optical density is 1e-6 of the usual: the next order is as small, rounding of OD to 1e-16 / 1e-6 as well.
    np.testing.assert_allclose(found, stack["truth_fraction"].values[use], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_averaged_intensity_never_exceeds_averaged_density(kind):
    """Jensen's inequality: mean transmission is at least that of the mean density."""
    refs = pk.synthetic.iron_references()
    stack = pk.synthetic.mixture_stack(kind, **SMALL, **CLEAN, seed=5)
    use = stack["truth_phase"].values >= 0
    assert (density(stack)[use] <= linear_density(stack, refs)[use] + 1e-7).all()


def test_a_thick_nano_mixture_is_flatter_than_a_solution_of_the_same_share():
    refs = pk.synthetic.iron_references()
    mixing = pk.synthetic.MixtureSettings(share=(0.5, 0.5), variation=0.0)
    loss = {}
    for kind in ("solid solution", "nano-mixture"):
        stack = pk.synthetic.mixture_stack(kind, n_particles=2, **{**CLEAN, **PROBE}, mixing=mixing, seed=6)
        # Far from the outline, where the probe averages over the grains and hardly over the thickness.
        use = binary_erosion(stack["truth_phase"].values >= 0, iterations=5)
        seen, mean = density(stack)[use], linear_density(stack, refs)[use]
        at = int(np.abs(np.diff(spectra_of(stack, refs), axis=0)).argmax())  # where grains differ most
        loss[kind] = float((mean - seen)[:, at].mean())
    assert loss["nano-mixture"] > 3 * loss["solid solution"]


@pytest.mark.parametrize("kind", ["sharp grains", "nano-mixture"])
def test_the_probe_moves_light_and_takes_none(kind):
    absorbed = []
    for width in (0.0, 40.0, 120.0):
        stack = pk.synthetic.mixture_stack(kind, **SMALL, **{**CLEAN, "probe_fwhm_nm": width}, seed=7)
        absorbed.append((1 - stack["intensity"] / stack["truth_i0"]).sum(("scan_y", "scan_x")).values)
    # The Gaussian is cut at four standard deviations, where 6e-5 of it are left, and normalised.
    np.testing.assert_allclose(absorbed[1], absorbed[0], rtol=1e-3)
    np.testing.assert_allclose(absorbed[2], absorbed[0], rtol=1e-3)


def test_classes_are_those_of_the_specimen():
    counts, mixing = {}, pk.synthetic.MixtureSettings(share=(0.3, 0.7), variation=0.0)
    for kind in KINDS:
        stack = pk.synthetic.mixture_stack(kind, **SMALL, **PROBE, mixing=mixing, seed=8)
        counts[kind] = np.bincount(stack["truth_class"].values.ravel(), minlength=len(MixtureClass))
    transition, boundary = int(MixtureClass.TRANSITION), int(MixtureClass.BOUNDARY)
    assert counts["sharp grains"][transition] == 0
    assert counts["sharp grains"][boundary] > 20
    for kind in ("solid solution", "nano-mixture"):
        assert counts[kind][transition] > 0.8 * counts[kind][1:].sum()
    assert counts["gradual rims"][transition] > 20


def test_a_rim_that_is_narrower_than_the_probe_is_a_boundary():
    mixing = pk.synthetic.MixtureSettings(rim_px=(2.0, 2.0))
    settings = {**SMALL, "mixing": mixing, "seed": 9}
    sharp, wide = (
        pk.synthetic.mixture_stack("gradual rims", **settings, probe_fwhm_nm=width)["truth_class"].values
        for width in (40.0, 100.0)
    )
    assert (sharp == MixtureClass.TRANSITION).sum() > 20
    assert not (wide == MixtureClass.TRANSITION).any()


@pytest.mark.parametrize("kind", KINDS)
def test_dose_energies_and_nuisances_do_not_change_the_specimen(kind):
    first = pk.synthetic.mixture_stack(kind, **SMALL, seed=10)
    other = pk.synthetic.mixture_stack(
        kind,
        **SMALL,
        seed=10,
        photons=50,
        energies=[702.0, 708.0],
        gain=0.1,
        reference_error=0.03,
        interpolation_px=0.3,
    )
    for name in ("truth_fraction", "truth_specimen_fraction", "truth_thickness", "truth_class"):
        xr.testing.assert_equal(first[name], other[name])


def test_same_seed_same_stack_other_seed_another():
    first, again, other = (pk.synthetic.mixture_stack("nano-mixture", **SMALL, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_identical(first, again)
    assert not first["truth_fraction"].equals(other["truth_fraction"])


def test_the_gain_is_what_variance_and_mean_say():
    stack = pk.synthetic.mixture_stack(**SMALL, photons=400, gain=0.1, hot_pixels=0.0, frame_drift_px=0.0, seed=11)
    empty = stack["intensity"].values[:, :4]  # the particles keep off the border
    ratio = empty.var(axis=(1, 2)) / empty.mean(axis=(1, 2))
    assert float(ratio.mean()) == pytest.approx(0.1, rel=5 * np.sqrt(2 / empty.size))


def test_interpolation_correlates_neighbours_and_keeps_the_mean():
    settings = {**SMALL, "photons": 400, "hot_pixels": 0.0, "frame_drift_px": 0.0, "seed": 12}
    correlation = {}
    for moved in (0.0, 0.4):
        stack = pk.synthetic.mixture_stack(**settings, interpolation_px=moved)
        rest = (stack["intensity"] / stack["truth_i0"]).values[:, 2:6, 2:-2] - 1
        assert abs(rest.mean()) < 5 / np.sqrt(400 * rest.size)
        correlation[moved] = float((rest[:, :, 1:] * rest[:, :, :-1]).mean() / (rest**2).mean())
    assert abs(correlation[0.0]) < 0.05
    assert correlation[0.4] > 0.1


def test_references_are_wrong_by_the_stated_share():
    refs = pk.synthetic.iron_references()
    energy = np.linspace(650, 750, 2000)
    exact = np.ones((refs.sizes["reference"], energy.size))
    many = [perturb_spectra(exact, energy, 0.03, np.random.default_rng(seed)) - 1 for seed in range(50)]
    # 100 spectra of eight waves each: the variance is known to sqrt(2 / 800), and waves beat within the range.
    assert float(np.std(many)) == pytest.approx(0.03, rel=0.1)
    assert float(np.abs(np.diff(many, axis=-1)).max()) < 0.03 * 4 * 2 * np.pi / 3 * (energy[1] - energy[0])


def test_energy_offset_shifts_the_spectrum():
    axis = np.linspace(702, 714, 6)
    shifted = pk.synthetic.mixture_stack(**SMALL, **CLEAN, energies=axis, energy_offset=0.3, seed=1)
    straight = pk.synthetic.mixture_stack(**SMALL, **CLEAN, energies=axis + 0.3, seed=1)
    np.testing.assert_allclose(shifted["intensity"].values, straight["intensity"].values)
    assert shifted.attrs["truth_energy_offset"] == 0.3


def test_vanadium_mixes_neighbours_in_composition_only():
    stack = pk.synthetic.sample_mixture(2, kind="solid solution", element="vanadium")
    fraction = stack["truth_specimen_fraction"].values[stack["truth_phase"].values >= 0]
    assert stack["reference"].values.tolist() == ["Na3", "Na2", "Na1"]
    assert (np.minimum(fraction[:, 0], fraction[:, 2]) < 1e-6).mean() > 0.98


@pytest.mark.parametrize("measured", [False, True])
def test_a_sampled_specimen_keeps_what_is_not_set(measured):
    one, two = (
        pk.synthetic.sample_mixture(5, shape=(32, 32), measured=measured, **more) for more in ({}, {"photons": 100.0})
    )
    for name in ("truth_fraction", "truth_class", "truth_shift_y"):
        xr.testing.assert_equal(one[name], two[name])
    assert one.attrs["truth_stray_light"] == two.attrs["truth_stray_light"]
    assert (one.attrs["truth_gain"] == 1.0) != measured


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "alloy"}, "needs one of"),
        ({"photon": 3}, "unknown settings"),
        ({"gain": 0.0}, "gain > 0"),
        ({"stray_light": 1.0}, "shares within"),
        ({"shape": (8, 40)}, "at least 16"),
        ({"mixing": pk.synthetic.MixtureSettings(share=(0.5, 0.2))}, "ranges"),
        ({"mixing": pk.synthetic.MixtureSettings(rim_px=(0.0, 2.0))}, "widths > 0"),
        ({"energies": [600.0, 710.0]}, "references cover"),
    ],
)
def test_wrong_settings_are_refused_with_a_cure(settings, words):
    with pytest.raises(SchemaError, match=words):
        pk.synthetic.mixture_stack(**settings)


def test_an_element_and_energies_without_order_are_refused():
    with pytest.raises(SchemaError, match="iron"):
        pk.synthetic.sample_mixture(0, element="gold")
    with pytest.raises(SchemaError, match="increasing"):
        pk.synthetic.iron_references([710.0, 700.0])


def test_references_are_left_untouched():
    refs = pk.synthetic.iron_references()
    before = refs.copy(deep=True)
    pk.synthetic.mixture_stack(**SMALL, references=refs, reference_error=0.05)
    xr.testing.assert_identical(refs, before)


def test_stack_survives_a_file(tmp_path):
    stack = pk.synthetic.mixture_stack("mixed population", **SMALL)
    for name in ("stack.nc", "stack.zarr"):
        xr.testing.assert_identical(pk.io.load(pk.io.save(stack, tmp_path / name)).compute(), stack)
