"""The measured Fe 2p stack through the STXM steps, against an independent fit written here."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import nnls

import phasekit as pk
from phasekit.errors import StxmStatus

from .fe2p import FOLDER, MARKS

pytestmark = MARKS


def _independent_fraction(od, use):
    """Oxidised fraction by scipy's NNLS on plain arrays, with a constant of either sign."""
    energy = od["energy"].values
    columns = []
    for name in ("oxidized.t", "reduced.t"):
        table = np.loadtxt(FOLDER / name)
        columns.append(np.interp(energy, table[:, 0], table[:, 1]))
    design = np.stack([*columns, np.ones(energy.size), -np.ones(energy.size)], axis=1)
    spectra = od["optical_density"].transpose("scan_y", "scan_x", "energy").values[use]
    amounts = np.array([nnls(design, spectrum)[0] for spectrum in spectra.astype(float)])
    return amounts[:, 0] / amounts[:, :2].sum(axis=1)


def test_oxidised_fraction_agrees_with_an_independent_fit(od, refs):
    fit = pk.stxm.fit_references(od, refs)
    use = (od["valid"] & ~od["empty"]).values
    assert use.mean() > 0.3
    oxidised = next(name for name in fit["reference"].values if "ox" in str(name))
    ours = fit["fraction"].sel(reference=oxidised).values[use]
    theirs = _independent_fraction(od, use)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert abs(float(fit["energy_offset"])) < 0.3
    assert float(fit["baseline"].median()) > 0.5  # I0 comes from another field


def test_measured_noise_is_what_neighbouring_energies_scatter_by(od):
    """The pre-edge is smooth, so second differences along energy show the noise; README: about 0.018."""
    pre = od.sel(energy=slice(700, 704))["optical_density"]
    values = pre.transpose("scan_y", "scan_x", "energy").values
    scatter = np.nanmedian(np.abs(values[..., :-2] - 2 * values[..., 1:-1] + values[..., 2:])) / 0.6745 / np.sqrt(6)
    claimed = float(od["noise"].sel(energy=slice(700, 704)).median())
    assert 0.5 * scatter < claimed < 1.6 * scatter


def test_the_whole_chain_runs_and_does_not_hide_the_misfit(od, refs):
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=5, progress=False, training=pk.stxm.Training(n_steps=60, batch=512))
    phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
    named = phases["phase"] >= 0
    assert float(named.mean()) > 0.3
    # two references leave 3 to 4 times the noise in the strongest pixels: those must say so
    unexplained = (phases["status"] == StxmStatus.NO_REFERENCE) & named
    assert float(unexplained.sum() / named.sum()) > 0.02
    assert phases["composition"].isnull().all()


@pytest.fixture(scope="module")
def full(od, refs):
    return pk.stxm.fit_references(od, refs)


def _rich(od, full):
    """Material with more than half the iron of the thickest pixels: there a single pixel has a fraction to speak of."""
    total = full["amount"].sum("reference").values
    material = (od["valid"] & ~od["empty"]).values
    return material & (total > 0.5 * np.quantile(total[material], 0.95))


def _authors_mask(od):
    """Pixels marked O in the mask beside the stack; rows are scan_y."""
    lines = (FOLDER / "mask_file.msk").read_text(encoding="utf-8").splitlines()
    marked = np.array([[letter == "O" for letter in line.ljust(od.sizes["scan_x"])] for line in lines])
    return marked & od["valid"].values


def _few(od, refs, energies, energy_offset=0.0):
    fit = pk.stxm.fit_references(od.sel(energy=energies, method="nearest"), refs, energy_offset=energy_offset)
    return fit["fraction"].isel(reference=0).values


def _agreement(found, wanted, use):
    good = use & np.isfinite(found) & np.isfinite(wanted)
    return np.corrcoef(found[good], wanted[good])[0, 1]


def _as_the_fit_says(od, refs, fit):
    """The stack as it would be if the two references explained it and only the measured noise were left."""
    energies = np.clip(od["energy"].values + float(fit["energy_offset"]), *refs["energy"].values[[0, -1]])
    at = refs["reference_spectrum"].interp(energy=energies).assign_coords(energy=od["energy"].values)
    model = xr.dot(fit["amount"], at, dim="reference") + fit["baseline"]
    rng = np.random.default_rng(0)
    noisy = model.transpose("energy", "scan_y", "scan_x").values + rng.normal(size=od["noise"].shape) * od["noise"]
    return od.assign(optical_density=noisy.transpose("energy", "scan_y", "scan_x"))


# Four energies do not decide the offset, and the fit says so; the map hardly depends on it.
@pytest.mark.filterwarnings("ignore:.*do not decide the energy offset")
@pytest.mark.parametrize(("n", "needed", "in_the_mask"), [(4, 0.95, 0.88), (6, 0.97, 0.90), (8, 0.975, 0.92)])
def test_planned_energies_give_the_map_of_all_energies(od, refs, full, n, needed, in_the_mask):
    """Oxidised fraction, single pixels, energies planned from the references alone.

    Iron-rich pixels: 0.972, 0.974, 0.983 with 4, 6, 8 energies; noise alone would leave 0.984 to 0.989. The authors'
    mask, most of which holds little iron: 0.893, 0.911, 0.931 (noise alone: 0.935, 0.944, 0.958).
    """
    chosen = pk.stxm.select_energies(refs, n).values
    wanted = full["fraction"].isel(reference=0).values
    rich, mask = _rich(od, full), _authors_mask(od)
    assert rich.sum() > 1000
    assert mask.sum() > 4000
    found = _few(od, refs, chosen)
    assert _agreement(found, wanted, rich) > needed
    assert _agreement(_few(od, refs, chosen, "fit"), wanted, rich) > needed
    assert _agreement(found, wanted, mask) > in_the_mask
    assert _agreement(found, wanted, rich) > _agreement(_few(od, refs, np.linspace(700, 730, n)), wanted, rich) + 0.02
    # what noise alone would leave, the references being exact, is not much more
    exact = _as_the_fit_says(od, refs, full)
    of_all = pk.stxm.fit_references(exact, refs, energy_offset=0.0)["fraction"].isel(reference=0).values
    ceiling = _agreement(_few(exact, refs, chosen), of_all, rich)
    assert needed < ceiling < 0.995


@pytest.mark.parametrize(
    "settings",
    [
        {"energy_range": (703, 728)},
        {"energy_range": (700, 718)},
        {"min_spacing_ev": 0.4},
        {"min_spacing_ev": 0.7},
        {"peak_od": 0.5},
        {"peak_od": 1.5},
        {"include": [701.0]},
    ],
    ids=str,
)
def test_the_plan_does_not_hang_on_its_settings(od, refs, full, settings):
    wanted, rich = full["fraction"].isel(reference=0).values, _rich(od, full)
    chosen = pk.stxm.select_energies(refs, 6, **settings).values
    assert _agreement(_few(od, refs, chosen), wanted, rich) > 0.97


def test_means_of_nine_pixels_agree_in_the_whole_mask(od, refs):
    """Where the noise is a third, the mask's poor pixels have a fraction too: 0.96, 0.96, 0.98."""
    mean = od["optical_density"].rolling(scan_y=3, scan_x=3, center=True, min_periods=1).mean()
    smooth = od.assign(optical_density=mean, noise=od["noise"] / 3)
    wanted = pk.stxm.fit_references(smooth, refs, energy_offset=0.0)["fraction"].isel(reference=0).values
    for n, needed in ((4, 0.95), (6, 0.955), (8, 0.97)):
        chosen = pk.stxm.select_energies(refs, n).values
        assert _agreement(_few(smooth, refs, chosen), wanted, _authors_mask(od)) > needed


@pytest.mark.parametrize(("n", "needed"), [(4, 0.95), (6, 0.965), (8, 0.975)])
def test_a_coarse_scan_plans_as_well(od, refs, full, n, needed):
    """Every fifth pixel in y and x plans the energies, all the others judge them: 0.969, 0.972, 0.982."""
    step = slice(None, None, 5)
    chosen = pk.stxm.select_energies_from_scan(od.isel(scan_y=step, scan_x=step), refs, n)
    assert chosen.attrs["n_components"] >= 3  # two references do not explain this specimen
    others = _rich(od, full)
    others[::5, ::5] = False
    found = _few(od, refs, chosen.values)
    assert _agreement(found, full["fraction"].isel(reference=0).values, others) > needed


def test_pixels_the_two_references_do_not_explain_are_flagged(od, refs, full):
    rich = _rich(od, full)
    assert float(full["unexplained"].values[rich].mean()) > 0.95
    exact = pk.stxm.fit_references(_as_the_fit_says(od, refs, full), refs, energy_offset=float(full["energy_offset"]))
    assert 1e-4 < float(exact["unexplained"].values[od["valid"].values].mean()) < 0.003
    # eight energies see part of it: some pixels, several times as many as noise alone would flag
    chosen = pk.stxm.select_energies(refs, 8).values
    few = pk.stxm.fit_references(od.sel(energy=chosen, method="nearest"), refs)
    assert 0.3 < float(few["unexplained"].values[rich].mean()) < 1.0


def test_forecast_of_the_share_is_what_the_noise_of_this_stack_gives(od, refs, full):
    """Standard error of the fraction with 6 energies, against a stack in which only noise is left."""
    exact = _as_the_fit_says(od, refs, full)
    chosen = pk.stxm.select_energies(refs, 6)
    total = full["amount"].sum("reference").values
    use = _rich(od, full) & (np.abs(total - 1.0) < 0.1) & (np.abs(full["fraction"][..., 0].values - 0.6) < 0.3)
    # The offset that the stack was made with: the forecast is of the noise alone.
    few = _few(exact, refs, chosen.values, float(full["energy_offset"]))
    error = (few - full["fraction"].isel(reference=0).values)[use]
    at = od.sel(energy=chosen.values, method="nearest")
    baseline = float(full["baseline"].values[use].mean())
    photons = float((np.exp(at["optical_density"]) / at["noise"] ** 2).values[:, use].mean())
    peak = float(refs["reference_spectrum"].mean("reference").max())
    forecast = pk.stxm.predict_errors(refs, chosen, photons=[photons], peak_od=peak, background_od=baseline)
    assert use.sum() > 100
    assert float(forecast["share_error"][0, 0]) == pytest.approx(np.sqrt((error**2).mean()), rel=0.25)
