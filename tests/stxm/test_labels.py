import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus
from tests.rounding import EPSILON


def test_phases_and_energy_offset_are_found(stack, phases):
    both = ((stack["truth_phase"] >= 0) & (phases["phase"] >= 0)).values
    right = (phases["phase"] == stack["truth_phase"]).values[both]
    clear = (phases["status"] == StxmStatus.OK).values[both]
    assert clear.mean() > 0.75
    assert right[clear].mean() > 0.95
    assert float(phases["energy_offset"]) == pytest.approx(0.25, abs=0.05)
    assert 0 < float(phases["energy_offset_error"]) < 0.05


def test_without_the_offset_the_map_is_worse_and_the_misfit_shows(stack, od, clusters, refs, phases):
    blind = pk.stxm.label_phases(od, clusters, refs, energy_offset=0.0)
    both = ((stack["truth_phase"] >= 0) & (phases["phase"] >= 0)).values
    right = [(p["phase"] == stack["truth_phase"]).values[both].mean() for p in (blind, phases)]
    assert right[0] < right[1]
    assert float(blind["chi_square"].median()) > 1.5 * float(phases["chi_square"].median())


def test_background_is_background(od, phases):
    outside = ~(od["valid"] & ~od["empty"]).values
    assert (phases["phase"].values[outside] == -1).all()
    assert np.isin(phases["status"].values[outside], [StxmStatus.BACKGROUND, StxmStatus.TOO_THICK]).all()
    for name in ("confidence", "composition", "margin"):
        assert np.isnan(phases[name].values[outside]).all()
        assert np.isfinite(phases[name].values[~outside]).all()


def test_confidence_and_margin_keep_their_ranges(phases):
    confidence, margin = phases["confidence"].values, phases["margin"].values
    assert np.nanmin(confidence) >= 1 / 4 - 1e-9
    assert np.nanmax(confidence) <= 1
    assert np.nanmin(margin) >= 0
    assert (phases["runner_up"].values != phases["phase"].values)[phases["phase"].values >= 0].all()


def louder(od):
    return od.assign(optical_density=3 * od["optical_density"] + 0.7, noise=3 * od["noise"])


def test_pearson_does_not_see_gain_nor_offset(od, clusters, refs, phases):
    shared = {"energy_offset": float(phases["energy_offset"]), "stray_light": 0.0, "background_slope": 0.0}
    plain, scaled = (pk.stxm.label_phases(data, clusters, refs, **shared) for data in (od, louder(od)))
    assert (scaled["phase"] == plain["phase"]).all()
    # Single precision rounds each value relative to itself, Pearson counts it relative to the spectrum's spread.
    density = louder(od)["optical_density"]
    allowed = EPSILON * (1 + abs(density).max("energy") / density.std("energy"))
    assert bool((abs(scaled["pearson"] - plain["pearson"]) <= allowed).where(plain["pearson"].notnull(), True).all())


def test_fitted_shared_numbers_hardly_see_gain_nor_offset(od, refs, phases):
    # A spectrum three times as dark tells more about stray light, so the others move, within what is not known of them.
    scaled = pk.stxm.fit_systematics(louder(od), refs)
    for name in ("energy_offset", "background_slope"):
        assert float(scaled[name]) == pytest.approx(float(phases[name]), abs=float(phases[f"{name}_error"]))


def test_confident_pixels_are_right_more_often(stack, phases):
    both = ((stack["truth_phase"] >= 0) & (phases["phase"] >= 0)).values
    right = (phases["phase"] == stack["truth_phase"]).values[both]
    confidence = phases["confidence"].values[both]
    low = confidence < np.quantile(confidence, 0.2)
    assert right[low].mean() < right[~low].mean()


def test_an_unknown_phase_is_no_reference(od, refs):
    strange = np.where(np.arange(12) % 2, 0.9, 0.1)[:, None, None] * np.ones((12, 20, 20))
    rng = np.random.default_rng(0)
    data = xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), strange + rng.normal(0, 0.03, strange.shape)),
            "noise": (("energy", "scan_y", "scan_x"), np.full(strange.shape, 0.03)),
            "valid": (("scan_y", "scan_x"), np.ones((20, 20), bool)),
        },
        coords={"energy": od["energy"]},
    )
    gmvae = pk.stxm.fit_gmvae(data, n_clusters=2, progress=False, training=pk.stxm.Training(n_steps=10))
    found = pk.stxm.label_phases(data, pk.stxm.assign_clusters(data, gmvae), refs, energy_offset=0.0)
    assert float((found["status"] == StxmStatus.NO_REFERENCE).mean()) > 0.95


def _mixture(refs, energy, share):
    """20 x 20 pixels of a mixture of Na3 and Na2.4, share of the latter by row."""
    at = refs["reference_spectrum"].interp(energy=energy.values).values
    spectra = (1 - share)[:, None] * at[0] + share[:, None] * at[1]
    cube = 0.3 * np.broadcast_to(spectra[:, None], (share.size, 20, energy.size)).transpose(2, 0, 1)
    rng = np.random.default_rng(1)
    return xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube + rng.normal(0, 0.01, cube.shape)),
            "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.01)),
            "valid": (("scan_y", "scan_x"), np.ones(cube.shape[1:], bool)),
        },
        coords={"energy": energy},
    )


def test_transitions_wide_and_narrow_and_composition_between(od, refs):
    share = np.concatenate([np.zeros(8), np.full(12, 0.5), np.ones(8)])
    data = _mixture(refs, od["energy"], share)
    gmvae = pk.stxm.fit_gmvae(data, n_clusters=4, progress=False, training=pk.stxm.Training(n_steps=60))
    clusters = pk.stxm.assign_clusters(data, gmvae)
    found = pk.stxm.label_phases(data, clusters, refs, energy_offset=0.0)
    middle = found["status"].values[10:18]
    assert (middle == StxmStatus.TRANSITION).mean() > 0.95
    assert (found["status"].values[:8] == StxmStatus.OK).mean() > 0.95
    composition = found["composition"].mean("scan_x").values
    assert composition[:8].mean() == pytest.approx(3.0, abs=0.05)
    assert composition[9:19].mean() == pytest.approx(2.7, abs=0.05)
    assert composition[20:].mean() == pytest.approx(2.4, abs=0.05)


def test_flag_ambiguous_grows_with_the_margin_and_is_counted(phases):
    shares = [pk.stxm.ambiguous_fraction(phases, margin) for margin in (0.0, 0.005, 0.02, 0.5)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]
    flagged = pk.stxm.flag_ambiguous(phases, 0.02)
    named = phases["phase"] >= 0
    assert shares[2] == pytest.approx(float(((flagged["status"] == StxmStatus.AMBIGUOUS) & named).sum() / named.sum()))
    free = phases["status"].isin([StxmStatus.OK, StxmStatus.AMBIGUOUS])
    assert (flagged["status"] == phases["status"]).values[~free.values].all()
    again = pk.stxm.flag_ambiguous(flagged, 0.0)
    np.testing.assert_array_equal(again["status"], phases["status"])
    with pytest.raises(SchemaError, match="margin"):
        pk.stxm.flag_ambiguous(phases, float("nan"))


def test_lazy_and_any_chunking(od, gmvae, refs, phases):
    data = od.chunk({"energy": 5, "scan_y": 19, "scan_x": 23})
    lazy = pk.stxm.label_phases(data, pk.stxm.assign_clusters(data, gmvae), refs)
    assert all(isinstance(lazy[name].data, da.Array) for name in ("phase", "pearson", "status", "confidence"))
    assert float((lazy["phase"] == phases["phase"]).mean()) > 0.999
    np.testing.assert_allclose(lazy["pearson"], phases["pearson"], atol=1e-5)
    assert float(lazy["energy_offset"]) == pytest.approx(float(phases["energy_offset"]), abs=1e-4)


def test_inputs_untouched_and_round_trip(od, clusters, refs, phases, tmp_path):
    before = [part.copy(deep=True) for part in (od, clusters, refs)]
    pk.stxm.label_phases(od, clusters, refs, energy_offset=0.1)
    for part, was in zip((od, clusters, refs), before, strict=True):
        xr.testing.assert_identical(part, was)
    for suffix in ("nc", "zarr"):
        pk.io.save(phases, tmp_path / f"phases.{suffix}")
        back = pk.io.load(tmp_path / f"phases.{suffix}").compute()
        xr.testing.assert_equal(back, phases)
        assert back["status"].attrs["flag_meanings"] == phases["status"].attrs["flag_meanings"]


def test_references_that_do_not_fit_are_refused(od, clusters, refs):
    with pytest.raises(SchemaError, match=r"cover 520..535.9 eV, the data need 509..528"):
        pk.stxm.label_phases(od, clusters, refs.sel(energy=slice(519.95, 540)))
    few = od.isel(energy=slice(0, 4))
    with pytest.raises(SchemaError, match="4 energies are too few to separate 4 references"):
        pk.stxm.label_phases(few, clusters.isel(energy=slice(0, 4)), refs)
    with pytest.raises(SchemaError, match="Make them from this OD"):
        pk.stxm.label_phases(od, clusters.isel(scan_y=slice(0, 9)), refs)
    with pytest.raises(SchemaError, match="'fit'"):
        pk.stxm.label_phases(od, clusters, refs, energy_offset="auto")


def test_without_composition_there_is_none(od, clusters, refs):
    found = pk.stxm.label_phases(od, clusters, refs.drop_vars("composition"), energy_offset=0.25)
    assert found["composition"].isnull().all()
    assert (found["phase"] >= 0).any()


def test_pearson_is_the_correlation_with_each_reference(od, refs):
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0, stray_light=0.0)
    density = od["optical_density"].transpose("scan_y", "scan_x", "energy").values
    shown = found["fitted_reference"].values
    for y, x in np.argwhere((found["phase"] >= 0).values)[::37]:
        wanted = [np.corrcoef(density[y, x], row)[0, 1] for row in shown]
        np.testing.assert_allclose(found["pearson"].values[y, x], wanted, atol=1e-4)
        ranked = np.sort(found["pearson"].values[y, x])
        assert float(found["margin"][y, x]) == pytest.approx(ranked[-1] - ranked[-2], abs=1e-6)
