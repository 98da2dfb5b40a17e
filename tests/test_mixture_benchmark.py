"""The judges of mixtures: they give full marks to the truth, and see half-toning and wrong transitions."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from benchmarks.stxm.collect import collect_results
from benchmarks.stxm.maps import compute_lone_share, correlate_fractions, find_lone_pixels, select_fraction
from benchmarks.stxm.mixture_cells import KINDS, list_references, plan_mixture_energies, simulate_mixture
from benchmarks.stxm.mixture_scores import Truth, score_mixture_map, score_phase_and_fraction
from benchmarks.stxm.report_mixtures import compose_mixture_lines
from phasekit.errors import StxmStatus
from phasekit.synthetic.mixtures.truth import MixtureClass

SCAN = ("scan_y", "scan_x")


@pytest.fixture(scope="module")
def stack():
    return pk.synthetic.sample_mixture(4, kind="mixed population", photons=500.0)


def perfect_map(stack: xr.Dataset, **changes) -> xr.Dataset:
    """A map that is the truth, in all that the scores read of one."""
    phase, kind = stack["truth_phase"], stack["truth_class"].values
    status = np.select(
        [kind == MixtureClass.TRANSITION, kind == MixtureClass.BOUNDARY, kind == MixtureClass.PURE],
        [StxmStatus.TRANSITION, StxmStatus.BOUNDARY_TRANSITION, StxmStatus.OK],
        StxmStatus.BACKGROUND,
    )
    data = {
        "phase": (SCAN, phase.values),
        "reference_fraction": ((*SCAN, "reference"), stack["truth_fraction"].values),
        "status": (SCAN, status),
        "confidence": (SCAN, np.where(phase >= 0, 1.0, np.nan)),
        "energy_offset": stack.attrs["truth_energy_offset"],
    }
    return xr.Dataset(data, coords={"reference": stack["reference"]}).assign(**changes)


def test_the_truth_has_full_marks(stack):
    scores = score_mixture_map(perfect_map(stack), Truth(stack))
    assert scores["accuracy"] == scores["accuracy_clear"] == scores["found_material"] == 1
    assert scores["fraction_error"] == scores["ok_error"] == scores["ece"] == scores["offset_error"] == 0
    assert scores["lone"] == scores["truth_lone"]
    assert scores["transition_as_transition"] == 1
    assert scores["false_transitions"] == 0
    assert scores["fraction_known"] == 1


def test_a_map_without_fractions_is_judged_by_its_phase(stack):
    bare = perfect_map(stack).drop_vars("reference_fraction")
    fraction = select_fraction(bare)
    named = bare["phase"].values >= 0
    assert (fraction[named].sum(axis=-1) == 1).all()
    assert np.isnan(fraction[~named]).all()
    truth = Truth(stack)
    error = score_mixture_map(bare, truth)["fraction_error"]
    # All that is not the largest fraction is missed.
    assert error == pytest.approx(float((1 - truth.largest)[truth.material].mean()), abs=1e-6)


def test_transitions_everywhere_are_false_in_sharp_places(stack):
    everywhere = perfect_map(stack, status=(SCAN, np.full(stack["truth_phase"].shape, StxmStatus.TRANSITION)))
    scores = score_mixture_map(everywhere, Truth(stack))
    assert scores["transition_as_transition"] == scores["false_transitions"] == scores["pure_as_transition"] == 1


def test_half_toning_is_seen_as_lone_pixels():
    board = np.indices((20, 20)).sum(axis=0) % 2
    assert compute_lone_share(board, np.ones_like(board, dtype=bool)) == 1
    halves = np.zeros((20, 20), dtype=int)
    halves[:, 10:] = 1
    assert not find_lone_pixels(halves).any()
    alone = np.full((5, 5), -1)
    alone[2, 2] = 0
    assert not find_lone_pixels(alone).any()  # nothing beside it that it could be unlike


def test_a_correlation_needs_something_that_varies():
    use = np.ones(10, dtype=bool)
    assert correlate_fractions(np.arange(10.0), np.arange(10.0), use) == pytest.approx(1)
    assert np.isnan(correlate_fractions(np.zeros(10), np.arange(10.0), use))
    assert np.isnan(correlate_fractions(np.full(10, np.nan), np.arange(10.0), use))


@pytest.mark.parametrize("element", ["iron", "vanadium"])
@pytest.mark.parametrize("n", [4, 10, 60])
def test_energies_are_planned_within_the_references(element, n):
    energies = plan_mixture_energies(element, n)
    grid = list_references(element)["energy"].values
    assert energies.size == n
    assert (np.diff(energies) > 0).all()
    # The offset of the specimens is at most 0.4 eV.
    assert grid[0] + 0.4 < energies[0]
    assert energies[-1] < grid[-1] - 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_has_the_noise_that_it_states(kind):
    cell = simulate_mixture(10, 0.05, kind, 90)
    photons = float(cell.stack["truth_i0"].mean())
    clean = pk.synthetic.sample_mixture(90, kind=kind, energies=cell.stack["energy"].values, photons=np.inf)
    material = (clean["truth_phase"] >= 0).values
    transmission = (clean["intensity"] / clean["truth_i0"]).values[:, material]
    assert float(np.median(1 / np.sqrt(photons * transmission))) == pytest.approx(0.05, rel=0.01)


def test_results_become_a_page(stack, tmp_path):
    truth = Truth(stack)
    own = score_mixture_map(perfect_map(stack), truth)
    rival = score_phase_and_fraction(truth.phase, truth.fraction, truth)
    cell = {"n": 10, "noise": 0.05, "kind": "mixed population", "element": "iron", "measured": False}
    for seed in (90, 91):
        result = {"phasekit": own, "phasekit without GMVAE": own, "baselines": {"fit_references": {"0.0": rival}}}
        text = json.dumps({**result, "cell": {**cell, "seed": seed}, "code": "00000000"})
        (tmp_path / f"mixture_{seed}.json").write_text(text, encoding="utf-8")
    results = collect_results(tmp_path)
    assert results["mixtures"][0]["specimens"] == 2
    assert results["mixtures"][0]["verdict"] == "level"
    lines = compose_mixture_lines(results)
    assert sum("mixed population" in line for line in lines) == 1
    assert compose_mixture_lines({}) == []
