"""The STXM workflow on its sample: every public step, with the settings of the notebook or smaller ones."""

from pathlib import Path
from typing import Any

import numpy as np

from .steps import Recorder

N_STEPS = 60  # of a training: enough for clusters to form


def run_stxm(run: Recorder, samples: Path) -> None:
    stack = run("io.open_stxm", samples / "stxm_nvpf.nc")
    refs = run("io.open_references", str(samples / "stxm_nvpf_references.csv"))
    _plan(run, refs)
    aligned = run("stxm.align", stack)
    od = run("stxm.optical_density", aligned)
    _prepare(run, od, refs)
    training = run.package.stxm.Training(n_steps=N_STEPS)
    gmvae = run("stxm.fit_gmvae", od, n_clusters=8, n_runs=2, seed=0, progress=False, training=training)
    clusters = run("stxm.assign_clusters", od, gmvae)
    phases = run("stxm.label_phases", od, clusters, refs, seed=0)
    run("stxm.label_phases", od, None, refs, neighbours=0.7, blur_px=1.0, seed=1, step="stxm.label_phases alone")
    run("stxm.flag_ambiguous", phases, 0.002, min_confidence=0.9)
    run("stxm.ambiguous_fraction", phases, 0.002)
    fit = run("stxm.fit_references", od, refs)
    _baselines(run, od, refs, stack, phases)
    _after_map(run, od, refs, phases, fit)
    _files(run, phases, refs)
    run("synthetic.vanadium_references")
    run("synthetic.stxm_stack", shape=(32, 40), n_particles=3, seed=1)


def _plan(run: Recorder, refs: Any) -> None:
    plan = run("stxm.select_energies", refs, 10)
    run("stxm.select_energies", refs, 8, slope=True, offset_robust=False, step="stxm.select_energies slope")
    run("stxm.forecast_error", refs, photons=(100.0, 1000.0), n_scan_pixels=2000, seed=0)
    run("stxm.share_dwell", plan, refs, total_ms=20.0)
    target = run.scratch / "energies.txt"
    run.text("io.save_scan_list text", run("io.save_scan_list", plan, target, dwell_ms=2.0, step="io.save_scan_list"))
    run("io.open_scan_list", target)


def _prepare(run: Recorder, od: Any, refs: Any) -> None:
    run("stxm.smooth_od", od, 0.7)
    run("stxm.remove_stray_light", od, 0.01)
    run("stxm.subtract_pre_edge", od, (509.0, 513.5))
    run("stxm.fit_nuisances", od, refs)
    coarse = od.isel(scan_y=slice(None, None, 5), scan_x=slice(None, None, 5))
    run("stxm.plan_from_scan", coarse, refs, 8)


def _baselines(run: Recorder, od: Any, refs: Any, stack: Any, phases: Any) -> None:
    run("stxm.cluster_kmeans", od, refs, seed=0)
    run("stxm.cluster_gaussian_mixture", od, refs, seed=0)
    run("stxm.match_single_phase", od, refs)
    run("stxm.resolve_mcr", od, refs, max_iter=5, seed=0)
    methods = ("k-means + Pearson", "Pearson per pixel")
    truth = stack["truth_phase"]
    run("stxm.compare_methods", od, refs, truth, phases, methods=methods, smoothing_px=0.7, seed=0)


def _after_map(run: Recorder, od: Any, refs: Any, phases: Any, fit: Any) -> None:
    fitted = run("stxm.fitted_composition", fit, refs)
    thickness = run("stxm.thickness_from_references", fit, refs)
    run("stxm.thickness_map", od, "Na3V2(PO4)2F3", 3.16)
    particles = run("stxm.label_particles", phases)
    run("stxm.particle_statistics", phases, particles, thickness=thickness, fitted=fitted)
    run("stxm.composition_histogram", phases, thickness=thickness)
    names = refs["reference"].values
    run("stxm.rgb_composite", fit, [str(name) for name in list(names)[:3]])
    run("stxm.radial_profile", phases, particles)
    y, x = phases["scan_y"].values, phases["scan_x"].values
    line = run("stxm.line_profile", phases, (y[20], x[20]), (y[60], x[90]))
    run("stxm.fit_step", line)
    pairs = list(zip(list(names)[:-1], list(names)[1:], strict=True))
    for first, second in pairs[:2]:
        step = f"stxm.boundary_profile {first} {second}"
        run("stxm.boundary_profile", phases, particles, (str(first), str(second)), step=step)


def _files(run: Recorder, phases: Any, refs: Any) -> None:
    for ending in ("nc", "zarr"):
        path = run.scratch / f"phases.{ending}"
        run("io.save", phases, path, step=f"io.save {ending}")
        run("io.load", path, step=f"io.load {ending}")
    flat = run.scratch / "i0.csv"
    table = np.column_stack([refs["energy"].values, np.linspace(900.0, 1100.0, refs.sizes["energy"])])
    np.savetxt(flat, table, delimiter=",", header="energy,i0", comments="")
    run("io.open_i0", flat)
