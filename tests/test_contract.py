"""The arithmetic contract of docs/conventions.md: what is the same to the last bit, and what within a tolerance.

Each workflow is run on data in memory, then again, then in chunks on one thread and on three.
"""

import os
import subprocess
import sys
from collections.abc import Callable

import dask
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.synthetic.structures import sample_phases

from .rounding import EPSILON
from .tree import ROOT

Steps = dict[str, xr.Dataset]


def acom(scan: xr.Dataset) -> Steps:
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=8)
    peaks = pk.acom.find_peaks(scan)
    registered = pk.acom.calibrate_peaks(peaks)
    found = pk.acom.match_orientations(registered, bank, n_matches=2)
    refined = pk.acom.refine_orientations(registered, bank, found)
    return {
        "find_peaks": peaks,
        "calibrate_peaks": registered,
        "virtual_images": pk.acom.virtual_images(registered),
        "reconstruct": pk.acom.reconstruct_patterns(registered, shape=(32, 32)),
        "match_orientations": found,
        "refine_orientations": refined,
        "match_second_grain": pk.acom.match_second_grain(registered, bank, refined),
        "label_grains": pk.acom.label_grains(refined),
        "misorientation_maps": pk.acom.misorientation_maps(refined),
    }


def nmf(scan: xr.Dataset) -> Steps:
    features = pk.nmf.to_features(scan)
    factors = pk.nmf.factorise(features, 4)
    loadings = pk.nmf.fit_loadings(features, factors)
    return {
        "to_features": features,
        "to_features(anscombe)": pk.nmf.to_features(scan, scale="anscombe", bin=2),
        "to_features(measured)": pk.nmf.to_features(scan, centre="measured"),
        "to_features(polar)": pk.nmf.to_features(scan, layout="polar", bin=2),
        "to_features(scan_mean)": pk.nmf.to_features(scan, scan_mean=True),
        "factorise": factors,
        "fit_loadings": loadings,
        "find_overlap": pk.nmf.find_overlap(factors),
        "overlap_probability": pk.nmf.overlap_probability(loadings, factors),
        "scan_ranks": pk.nmf.scan_ranks(features, range(2, 5), n_runs=2, progress=False),
        "component_quality": pk.nmf.component_quality(factors, scan),
    }


def stxm(stack: xr.Dataset) -> Steps:
    refs = pk.io.open_references(pk.samples.path("stxm_nvpf_references"))
    aligned = pk.stxm.align(stack, progress=False)
    od = pk.stxm.optical_density(aligned)
    return {
        "align": aligned,
        "optical_density": od,
        "smooth_od": pk.stxm.smooth_od(od, 1.0),
        "fit_systematics": pk.stxm.fit_systematics(od, refs),
        "match_single_phase": pk.stxm.match_single_phase(od, refs),
    }


def stxm_products(stack: xr.Dataset) -> Steps:
    """The steps whose matrix products run over the pixels of a block."""
    refs = pk.io.open_references(pk.samples.path("stxm_nvpf_references"))
    od = pk.stxm.optical_density(stack)
    training = pk.stxm.Training(n_steps=20)
    gmvae = pk.stxm.fit_gmvae(od.compute(), n_clusters=4, seed=0, progress=False, training=training)
    clusters = pk.stxm.assign_clusters(od, gmvae)
    return {
        "assign_clusters": clusters,
        "fit_references": pk.stxm.fit_references(od, refs),
        "label_phases": pk.stxm.label_phases(od, clusters, refs),
    }


def scan_of_crystals() -> xr.Dataset:
    return pk.synthetic.orientation_scan(shape=(7, 8), detector=(96, 96), electrons=2000, seed=4)


def scan_of_grains() -> xr.Dataset:
    """Enough patterns for several blocks of rows of a factorisation."""
    return pk.synthetic.overlapping_grains(n_components=3, shape=(34, 40), detector=(32, 32), dose=2000, seed=4)


def stack_of_particles() -> xr.Dataset:
    return pk.synthetic.stxm_stack(shape=(40, 48), n_particles=3, seed=5)


def run(chain: Callable[[xr.Dataset], Steps], data: xr.Dataset, threads: int = 1) -> Steps:
    with dask.config.set(scheduler="threads" if threads > 1 else "synchronous", num_workers=threads):
        return {name: found.compute() for name, found in chain(data).items()}


def different(first: Steps, second: Steps) -> list[str]:
    """Variables, coordinates and attributes that are not the same to the last bit."""
    wrong = []
    for step, one in first.items():
        other = second[step]
        same = {n: v.equals(other.variables[n]) and v.dtype == other[n].dtype for n, v in one.variables.items()}
        wrong += [f"{step}: {name}" for name, equal in same.items() if not equal]
        told = {name: value for name, value in one.attrs.items() if name != "provenance"}
        wrong += [f"{step}: attribute {name}" for name, value in told.items() if other.attrs[name] != value]
    return wrong


WORKFLOWS = {
    "acom": (acom, scan_of_crystals, {"scan_y": 3, "scan_x": 5}, {"scan_x": 1}),
    "nmf": (nmf, scan_of_grains, {"scan_y": 3, "scan_x": 5}, {"scan_x": 1}),
    "stxm": (stxm, stack_of_particles, {"scan_y": 13, "scan_x": 20}, {"energy": 1, "scan_x": 9}),
}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_same_to_the_last_bit_again_in_any_chunks_and_on_any_number_of_threads(workflow):
    chain, make, chunks, others = WORKFLOWS[workflow]
    data = make()
    whole = run(chain, data)
    assert different(whole, run(chain, data)) == []
    assert different(whole, run(chain, data.chunk(chunks), threads=3)) == []
    assert different(whole, run(chain, data.chunk(others))) == []


def test_products_over_pixels_agree_to_single_precision_in_any_chunks():
    data = stack_of_particles()
    whole = run(stxm_products, data)
    assert different(whole, run(stxm_products, data)) == []
    cut = run(stxm_products, data.chunk({"scan_y": 13, "scan_x": 20}), threads=2)
    xr.testing.assert_allclose(cut["assign_clusters"], whole["assign_clusters"], rtol=0, atol=100 * EPSILON)
    linear = (whole["fit_references"], cut["fit_references"])
    assert float(abs(linear[1]["amount"] - linear[0]["amount"]).max()) <= 1e-9
    labels = (whole["label_phases"], cut["label_phases"])
    # Names that differ are those of ties.
    differ = labels[0]["phase"] != labels[1]["phase"]
    assert float(differ.mean()) < 5e-3
    assert float(labels[0]["confidence"].where(differ, 0.0).max()) < 0.6
    # A last bit of the optical density can decide a draw or the window of a pixel's mixture, and these the next draws.
    # The maps are then two samples of one posterior, which differ by what a mean over two chains is uncertain by.
    moved = abs(labels[1]["confidence"] - labels[0]["confidence"])
    assert float(moved.mean()) < 0.02
    assert float((moved > 0.1).mean()) < 1e-2


def test_sums_of_numbers_that_are_not_whole_agree_to_single_precision_in_any_chunks():
    """Whole counts add up exactly in double precision, in any order; others do not."""
    scan = scan_of_grains()
    scan["intensity"] = (0.37 * scan["intensity"]).astype(np.float32)
    whole = pk.nmf.to_features(scan)
    cut = pk.nmf.to_features(scan.chunk({"scan_y": 3, "scan_x": 5})).compute()
    for name in ("feature_value", "scan_weight", "feature_weight"):
        np.testing.assert_allclose(cut[name], whole[name], rtol=4 * EPSILON)
    assert cut.attrs["beam_qx_px"] == pytest.approx(whole.attrs["beam_qx_px"], rel=1e-9)


@pytest.mark.parametrize("chunks", [{"scan_y": 5}, {"scan_y": 3, "scan_x": 7}, {"scan_x": 1}], ids=str)
def test_a_fit_block_by_block_is_the_fit_in_memory_to_the_last_bit(chunks):
    features = pk.nmf.to_features(scan_of_grains().chunk(chunks))
    loaded, streamed = (
        {
            "factorise": pk.nmf.factorise(features, 4, in_memory=choice),
            "scan_ranks": pk.nmf.scan_ranks(features, range(2, 5), n_runs=2, in_memory=choice, progress=False),
        }
        for choice in (True, False)
    )
    assert different(loaded, streamed) == []


HASHED = """
import hashlib, sys
import tests.test_contract as contract
chain, make, chunks = {chain}, contract.{make}, {chunks}
for step, data in contract.run(chain, make().chunk(chunks)).items():
    for name, variable in data.variables.items():
        print(step, name, hashlib.sha1(str(variable.values.tolist()).encode()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("workflow", [*WORKFLOWS, "stxm_products"])
def test_the_same_to_the_last_bit_whatever_the_order_of_sets(workflow):
    # The order of a set of strings differs from process to process, and dask sums in the order of a set.
    chain, make, chunks, _ = WORKFLOWS.get(
        workflow, (stxm_products, stack_of_particles, {"scan_y": 13, "scan_x": 20}, {})
    )
    code = HASHED.format(chain=f"contract.{chain.__name__}", make=make.__name__, chunks=chunks)
    first, second = (
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("0", "1")
    )
    assert first
    assert [one for one, other in zip(first, second, strict=True) if one != other] == []
