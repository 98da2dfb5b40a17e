"""Energies are planned well: against all choices there are, against simulation, and whatever the order of the input."""

import json
from itertools import combinations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from tests.stxm.field import references


def edges(energy, *centres):
    """Two lines and a step per reference, in OD."""
    energy = np.asarray(energy)
    rows = [
        np.exp(-((energy - c) ** 2) / 2) + 0.6 * np.exp(-((energy - c - 7) ** 2) / 4) + 0.3 / (1 + np.exp(c - energy))
        for c in centres
    ]
    return xr.Dataset(
        {"reference_spectrum": (("reference", "energy"), np.array(rows), {"units": "1"})},
        coords={"reference": [f"R{c:g}" for c in centres], "energy": ("energy", energy, {"units": "eV"})},
    )


@pytest.fixture(scope="module")
def two():
    return edges(np.arange(505.0, 532.0, 0.5), 516.0, 517.2)


def share_variance(spectra, variance, columns=()):
    """Mean over mixing ratios of the variance of the share of the first of two spectra, by the textbook formulas."""
    design = np.stack([*spectra, np.ones(spectra.shape[1]), *columns], axis=1)
    covariance = np.linalg.inv(design.T @ (design / variance[:, None]))[:2, :2]
    ratios = np.linspace(0, 1, 401)
    gradient = np.stack([1 - ratios, -ratios])
    return float(np.trapezoid(np.einsum("if,ij,jf->f", gradient, covariance, gradient), ratios))


@pytest.mark.parametrize("criterion", ["shares", "amounts"])
@pytest.mark.parametrize("n", [4, 5])
def test_no_other_choice_is_better(two, criterion, n):
    few = two.isel(energy=slice(14, 40))
    chosen = pk.stxm.select_energies(few, n, offset_robust=False, criterion=criterion, peak_od=0.01, pre_edge=False)
    values = few["reference_spectrum"].values

    def badness(index):
        if criterion == "shares":
            return share_variance(values[:, index], np.ones(n))
        design = np.vstack([values[:, index], np.ones(n)])
        return -np.linalg.slogdet(design @ design.T)[1]

    energies = few["energy"].values
    ours = badness(np.searchsorted(energies, chosen.values))
    every = combinations(range(energies.size), n)
    best = min(badness(list(index)) for index in every if np.linalg.cond(values[:, list(index)]) < 1e6)
    assert ours <= best + 0.01 * abs(best)


def test_stated_share_error_is_what_simulated_fits_scatter_by(two):
    chosen = pk.stxm.select_energies(two, 6)
    spectra = two["reference_spectrum"].sel(energy=chosen.values).values / float(
        two["reference_spectrum"].mean("reference").max()
    )
    rng = np.random.default_rng(0)
    share = rng.uniform(0, 1, 40_000)
    density = np.outer(share, spectra[0]) + np.outer(1 - share, spectra[1]) + rng.normal(0, 0.01, (share.size, 6))
    amounts = np.linalg.lstsq(np.vstack([spectra, np.ones(6)]).T, density.T, rcond=None)[0][:2]
    found = amounts[0] / amounts.sum(axis=0)
    assert chosen.attrs["share_error"] == pytest.approx(np.std(found - share), rel=0.05)
    assert chosen.attrs["share_error"] < 0.5 * chosen.attrs["evenly_spaced_share_error"]


def test_amount_error_is_the_geometric_mean_of_the_amounts_standard_errors(two):
    chosen = pk.stxm.select_energies(two, 7, criterion="amounts")
    design = np.vstack([two["reference_spectrum"].sel(energy=chosen.values), np.ones(7)])
    covariance = 1e-4 * np.linalg.inv(design @ design.T)[:2, :2]
    assert chosen.attrs["amount_error"] == pytest.approx(np.linalg.det(covariance) ** 0.25)


def test_order_and_unit_of_the_references_do_not_matter_and_nothing_is_changed(two):
    before = two.copy(deep=True)
    chosen = pk.stxm.select_energies(two, 6)
    shuffled = two.isel(energy=np.random.default_rng(0).permutation(two.sizes["energy"]), reference=[1, 0])
    np.testing.assert_array_equal(pk.stxm.select_energies(shuffled, 6), chosen)
    np.testing.assert_array_equal(pk.stxm.select_energies(two * 7.3, 6), chosen)
    np.testing.assert_array_equal(pk.stxm.select_energies(two.chunk({"energy": 5}), 6), chosen)
    xr.testing.assert_identical(two, before)
    assert (chosen.diff("energy") > 0).all()


@pytest.mark.parametrize("criterion", ["shares", "amounts"])
@pytest.mark.parametrize("spacing", [0.0, 0.5, 1.7])
def test_spacing_range_and_wishes_are_kept(refs, criterion, spacing):
    low, high, wish = 510.0, 530.0, 519.03
    chosen = pk.stxm.select_energies(
        refs, 9, min_spacing_ev=spacing, energy_range=(low, high), include=[wish], criterion=criterion
    )
    assert chosen.sizes["energy"] == 9
    assert chosen.min() >= low
    assert chosen.max() <= high
    assert chosen.diff("energy").min() >= max(spacing, 0.05)
    assert float(np.abs(chosen - wish).min()) < 0.05 + 1e-9
    assert chosen["energy"].attrs["units"] == chosen.attrs["units"] == "eV"


def test_tightest_possible_packing_is_found():
    """n energies that fit only as one rigid comb, and one more that does not."""
    chosen = pk.stxm.select_energies(edges(np.arange(510.0, 520.1, 0.5), 516.0, 517.0), 6, min_spacing_ev=2.0)
    np.testing.assert_allclose(chosen, np.arange(510, 521, 2))
    with pytest.raises(SchemaError, match=r"hold no 7 that are 2 eV apart\. Lower n or min_spacing_ev"):
        pk.stxm.select_energies(edges(np.arange(510.0, 520.1, 0.5), 516.0, 517.0), 7, min_spacing_ev=2.0)


def test_one_energy_lies_before_the_edge_where_there_is_one_to_spare(two):
    spare = pk.stxm.select_energies(two, 6)
    assert float(spare.min()) < 512.5
    free = pk.stxm.select_energies(two, 6, pre_edge=False)
    assert spare.attrs["share_error"] < 1.15 * free.attrs["share_error"]
    inside = pk.stxm.select_energies(two, 6, energy_range=(515, 530))  # no energy before the edge to be had
    assert float(inside.min()) >= 515


def test_a_slope_asks_for_energies_on_both_sides(two):
    chosen = pk.stxm.select_energies(two, 8, slope=True)
    assert float(chosen.min()) < 514
    assert float(chosen.max()) > 520
    assert chosen.attrs["share_error"] > pk.stxm.select_energies(two, 8).attrs["share_error"]


def test_planned_energies_stay_good_when_the_scale_is_off(two):
    """The mean over the stated offsets is lower than without the precaution; noise as of counted photons."""
    fine = edges(np.arange(504.0, 533.0, 0.05), 516.0, 517.2)["reference_spectrum"]
    top = float(two["reference_spectrum"].mean("reference").max())

    def mean_variance(chosen):
        shifted = [fine.interp(energy=chosen.values + shift).values / top for shift in (-0.3, 0.0, 0.3)]
        return np.average([share_variance(s, np.exp(s.mean(axis=0))) for s in shifted], weights=[1, 4, 1])

    safe = pk.stxm.select_energies(two, 4, pre_edge=False)
    bold = pk.stxm.select_energies(two, 4, offset_robust=False, pre_edge=False)
    assert mean_variance(safe) <= mean_variance(bold) * (1 + 1e-3)


def test_thick_pixels_are_not_measured_on_the_peak(two):
    def mean_absorption(peak_od):
        chosen = pk.stxm.select_energies(two, 5, peak_od=peak_od)
        return float(two["reference_spectrum"].sel(energy=chosen.values).mean())

    assert mean_absorption(5.0) < mean_absorption(0.01)


def test_one_reference_is_planned_for_its_amount():
    alone = edges(np.arange(505.0, 532.0, 0.5), 516.0)
    chosen = pk.stxm.select_energies(alone, 4, peak_od=0.01)
    spectrum = alone["reference_spectrum"].sel(energy=chosen.values).values
    assert np.ptp(spectrum) == pytest.approx(np.ptp(alone["reference_spectrum"].values), rel=0.05)
    assert "share_error" not in chosen.attrs


@pytest.mark.parametrize("criterion", ["shares", "amounts"])
def test_twenty_of_three_hundred_candidates_are_chosen(criterion):
    refs = pk.synthetic.vanadium_references()
    assert refs.sizes["energy"] >= 300
    chosen = pk.stxm.select_energies(refs, 20, criterion=criterion).values
    assert len(set(chosen)) == 20
    assert np.isin(chosen, refs["energy"].values).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 3}, r"n=3 energies for 2 references \+ 2 .* Ask for at least 4"),
        ({"n": 4, "slope": True}, r"at least 5, use fewer references, or set offset_robust=False"),
        ({"n": 30}, "hold no 30 that are 1 eV apart"),
        ({"n": 6, "criterion": "D"}, "needs 'shares' or 'amounts'"),
        ({"n": 6, "peak_od": 0.0}, "peak_od=0.0, needs an optical density above 0"),
        ({"n": 6, "min_spacing_ev": -1.0}, "min_spacing_ev=-1.0"),
        ({"n": 6, "energy_range": (600, 700)}, "no candidate in energy_range"),
        ({"n": 6, "include": [515.0, 515.4]}, "less than 1 eV apart"),
        ({"n": 4, "include": [508.0, 512, 515, 518, 520]}, "'include' holds 5 energies"),
    ],
)
def test_wrong_settings_are_refused_with_a_cure(two, settings, words):
    with pytest.raises(SchemaError, match=rf"^select_energies: .*{words}"):
        pk.stxm.select_energies(two, **{"min_spacing_ev": 1.0, **settings})


def test_choice_keeps_its_history_through_a_file(two, tmp_path):
    chosen = pk.stxm.select_energies(two, 6, include=[518.0])
    back = pk.io.load(pk.io.save(chosen.to_dataset(name="planned"), tmp_path / "plan.nc"))["planned"].load()
    xr.testing.assert_equal(back.rename("energy"), chosen)
    record = json.loads(back.attrs["provenance"])[-1]
    assert record["step"] == "select_energies"
    assert record["settings"]["include"] == [518.0]


def specimen(energies, refs, *, photons, seed, third=0.0, scale_off=0.0, shape=(12, 12), centre=518.5):
    """OD of mixtures of two references, a third spectrum of random sign on top, on a scale that may be off."""
    rng = np.random.default_rng(seed)
    true = np.asarray(energies) + scale_off
    share = rng.uniform(0, 1, shape)
    depth = rng.uniform(0.8, 1.2, shape)
    at = edges(true, *(float(str(name)[1:]) for name in refs["reference"].values))["reference_spectrum"].values
    extra = third * rng.normal(size=shape) * depth
    density = np.einsum("yxr,re->eyx", np.stack([share * depth, (1 - share) * depth], -1), at)
    density = density + extra * np.exp(-((true - centre) ** 2) / 0.6)[:, None, None]
    counts = rng.poisson(photons * np.exp(-density)).clip(1)
    dims = ("energy", "scan_y", "scan_x")
    return xr.Dataset(
        {
            "optical_density": (dims, -np.log(counts / photons)),
            "noise": (dims, np.sqrt(np.exp(density) / photons)),
            "valid": (dims[1:], np.ones(shape, bool)),
        },
        coords={"energy": ("energy", np.asarray(energies), {"units": "eV"})},
    )


def test_plan_from_a_coarse_scan_shuns_energies_where_the_specimen_differs(two):
    grid = two["energy"].values
    third = {"photons": 4000, "third": 0.3, "centre": 517.5}
    coarse = specimen(grid, two, seed=0, **third)
    learned = pk.stxm.select_energies_from_scan(coarse, two, 5, energy_offset=0.0)
    blind = pk.stxm.select_energies(two, 5, offset_robust=False)
    fine = specimen(grid, two, seed=1, shape=(40, 40), **third)
    full = pk.stxm.fit_references(fine, two, energy_offset=0.0)["fraction"].isel(reference=0)

    def difference(chosen):
        part = pk.stxm.fit_references(fine.sel(energy=chosen.values), two, energy_offset=0.0)
        return float(((part["fraction"].isel(reference=0) - full) ** 2).mean() ** 0.5)

    assert learned.attrs["n_components"] >= 1
    assert difference(learned) < 0.5 * difference(blind)
    assert difference(learned) < 1.2 * learned.attrs["share_error"]


def test_a_specimen_that_the_references_explain_has_no_components(two):
    coarse = specimen(two["energy"].values, two, photons=2000, seed=3)
    plan = pk.stxm.select_energies_from_scan(coarse, two, 6, energy_offset=0.0)
    assert plan.attrs["n_components"] == 0
    assert plan.attrs["n_pixels"] > 100
    reference_only = pk.stxm.select_energies(two, 6)
    assert plan.attrs["share_error"] < 6 * reference_only.attrs["share_error"]  # 2000 photons: noise of 0.02 to 0.05


def test_the_coarse_scan_tells_how_far_the_scale_is_off(two):
    fine = edges(np.arange(503.0, 534.0, 0.25), 516.0, 517.2)
    coarse = specimen(np.arange(506.0, 531.0, 0.25), two, photons=5000, seed=4, scale_off=0.75, shape=(18, 18))
    there = specimen(np.arange(506.75, 531.75, 0.25), two, photons=5000, seed=4, shape=(18, 18))
    off, on = (pk.stxm.select_energies_from_scan(scan, fine, 5) for scan in (coarse, there))
    assert off.attrs["energy_offset"] - on.attrs["energy_offset"] == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(off + 0.75, on, atol=0.26)


def test_lazy_and_unsorted_coarse_scans_give_the_same_plan_and_stay_as_they_were(two):
    coarse = specimen(two["energy"].values, two, photons=2000, seed=5, third=0.1)
    before = coarse.copy(deep=True)
    plan = pk.stxm.select_energies_from_scan(coarse, two, 6)
    xr.testing.assert_identical(coarse, before)
    lazy = coarse.chunk({"energy": 7, "scan_x": 5})
    np.testing.assert_array_equal(pk.stxm.select_energies_from_scan(lazy, two, 6), plan)
    assert isinstance(lazy["optical_density"].data, da.Array)
    np.testing.assert_array_equal(
        pk.stxm.select_energies_from_scan(coarse.isel(energy=slice(None, None, -1)), two, 6), plan
    )


def test_a_coarse_scan_of_nothing_is_refused(two):
    coarse = specimen(two["energy"].values, two, photons=2000, seed=6)
    empty = coarse.assign(empty=xr.ones_like(coarse["valid"]))
    with pytest.raises(SchemaError, match=r"0 pixels with material .* needs at least 12\. Scan more pixels"):
        pk.stxm.select_energies_from_scan(empty, two, 6)
    with pytest.raises(SchemaError, match="n=2 energies for 2 references"):
        pk.stxm.select_energies_from_scan(coarse, two, 2)


def test_dwell_time_follows_the_square_root_rule_where_it_is_known(two):
    """With as many energies as terms a share's variance is sum c_e / t_e, so that the best t_e goes as sqrt(c_e)."""
    chosen = xr.DataArray([510.0, 516.0, 518.0], dims="energy")
    dwell = pk.stxm.allocate_dwell(chosen, two, total_ms=12.0, min_share=0.0)
    top = float(two["reference_spectrum"].mean("reference").max())
    spectra = two["reference_spectrum"].sel(energy=chosen.values).values / top
    inverse = np.linalg.inv(np.vstack([spectra, np.ones(3)]).T)[:2]
    target = np.array([[1 / 3, -1 / 6], [-1 / 6, 1 / 3]])
    needed = np.sqrt(np.einsum("ie,ij,je->e", inverse, target, inverse) * np.exp(spectra.mean(axis=0)))
    np.testing.assert_allclose(dwell, 12 * needed / needed.sum(), rtol=1e-3)
    even, best = np.full(3, 4.0), dwell.values
    ratio = np.sqrt((needed**2 / best).sum() / (needed**2 / even).sum())
    assert dwell.attrs["error_ratio"] == pytest.approx(ratio, rel=1e-6)


def test_dwell_times_sum_up_and_keep_their_least(refs):
    chosen = pk.stxm.select_energies(refs, 12)
    dwell = pk.stxm.allocate_dwell(chosen, refs, total_ms=24.0, min_share=0.5)
    assert float(dwell.sum()) == pytest.approx(24.0)
    assert float(dwell.min()) >= 0.5 * 2 - 1e-9
    assert dwell.attrs["error_ratio"] < 1
    even = pk.stxm.allocate_dwell(chosen, refs, total_ms=24.0, min_share=1.0)
    np.testing.assert_allclose(even, 2.0)
    with pytest.raises(SchemaError, match="needs a time above 0"):
        pk.stxm.allocate_dwell(chosen, refs, total_ms=0.0)
    with pytest.raises(SchemaError, match="too few to separate 4 references"):
        pk.stxm.allocate_dwell(chosen[:4], refs, total_ms=1.0)


def test_five_references_are_planned_to_be_told_apart():
    """Energies for shares confuse fewer phases than evenly spread ones, and than D-optimal ones."""
    many = pk.synthetic.vanadium_references()

    def rate(chosen):
        return float(pk.stxm.predict_errors(many, chosen, photons=[500.0])["error_rate"].mean())

    shares, amounts = (pk.stxm.select_energies(many, 8, criterion=c) for c in ("shares", "amounts"))
    even = xr.DataArray(np.linspace(508, 530, 8), dims="energy")
    assert rate(shares) < 0.95 * rate(amounts)
    assert rate(shares) < 0.3 * rate(even)


def test_fixture_references_have_their_edge_where_these_tests_think(refs):
    xr.testing.assert_identical(refs, references())
    assert float(refs["reference_spectrum"].mean("reference").idxmax()) == pytest.approx(517.5, abs=1.0)
