"""The orientation workflow on its sample: every public step."""

from pathlib import Path
from typing import Any

from .steps import Missing, Recorder


def run_acom(run: Recorder, samples: Path) -> None:
    patterns = run("io.open_4dstem", samples / "acom_two_phases.nc", step="io.open_4dstem acom")
    phases = [run("io.open_phase", samples / f"{name}.cif", step=f"io.open_phase {name}") for name in ("Ni", "LiFePO4")]
    found = run("acom.find_peaks", patterns)
    _other_peaks(run, patterns.isel(scan_y=slice(0, 8), scan_x=slice(0, 10)))
    peaks = run("acom.register_peaks", found, phase=phases)
    run("acom.calibrate", patterns, pixel_size=0.02)
    run("acom.virtual_images", peaks)
    images = run("acom.reconstruct", peaks, (64, 64))
    bank = run("acom.build_templates", phases, voltage_kv=200.0, resolution_deg=2.0, precession_deg=1.0)
    run("acom.template_peaks", bank, [3, 40, 100])
    matched = run("acom.match_orientations", peaks, bank, n_matches=2)
    corner = peaks.isel(scan_y=slice(0, 6), scan_x=slice(0, 6))
    run("acom.match_orientations", corner, bank, search="full", step="acom.match_orientations full")
    refined = run("acom.refine_orientations", peaks, bank, matched)
    other = matched.isel(scan_y=slice(0, 6), scan_x=slice(0, 6))
    run("acom.refine_orientations", corner, bank, other, blur=0.02, step="acom.refine_orientations tolerance")
    run("acom.match_second_grain", peaks, bank, refined)
    _map(run, refined, matched, patterns)
    _components(run, peaks, bank, images)
    _files(run, refined, peaks, patterns)
    scan = run("synthetic.orientation_scan", shape=(3, 4), detector=(64, 64), seed=1)
    run("synthetic.true_spots", scan)


def _other_peaks(run: Recorder, corner: Any) -> None:
    run("acom.find_peaks", corner, mode="published", step="acom.find_peaks published")
    run("acom.find_peaks", corner, scan_mean=True, step="acom.find_peaks scan mean")
    run("acom.find_peaks", corner, blur=1.5, max_peaks=40, step="acom.find_peaks blurred")


def _map(run: Recorder, refined: Any, matched: Any, patterns: Any) -> None:
    run("acom.resolve_half_turns", refined)
    grains = run("acom.label_grains", refined, max_disorientation_deg=5.0, min_pixels=4)
    run("acom.label_grains", refined, fold_180=True, step="acom.label_grains folded")
    run("acom.misorientation_maps", refined, grains)
    for phase, hkl in ((0, (0, 0, 1)), (1, (0, 1, 0))):
        run("acom.pole_figure", refined, hkl, phase=phase, step=f"acom.pole_figure {phase}")
    for direction in ("x", "z"):
        run("acom.ipf_colours", refined, direction=direction, step=f"acom.ipf_colours {direction}")
    run("acom.compare_maps", matched, refined)
    run("acom.compare_with_truth", refined, patterns)
    run("acom.reliable_fraction", refined)
    run("acom.compression_ratio", (128, 128), 40)


def _components(run: Recorder, peaks: Any, bank: Any, images: Any) -> None:
    features = run("nmf.to_features", images, step="nmf.to_features reconstructed")
    factors = run("nmf.factorise", features, 6, n_starts=2, max_iterations=100, step="nmf.factorise reconstructed")
    patterns = run("nmf.component_patterns", factors, step="nmf.component_patterns reconstructed")
    spots = run("acom.find_peaks", patterns, step="acom.find_peaks components")
    spots = run("acom.register_peaks", spots, origin=None, step="acom.register_peaks components")
    matched = run("acom.match_orientations", spots, bank, step="acom.match_orientations components")
    refined = run("acom.refine_orientations", spots, bank, matched, step="acom.refine_orientations components")
    run("nmf.component_crystals", factors, refined)
    run("nmf.map_crystals", factors, refined)


def _files(run: Recorder, refined: Any, peaks: Any, patterns: Any) -> None:
    for ending in ("ang", "ctf"):
        path = run(f"io.save_{ending}", refined, run.scratch / f"map.{ending}", step=f"io.save_{ending} path")
        run.text(f"io.save_{ending}", path)
    table = run("io.save_peaks_csv", peaks, run.scratch / "peaks.csv", step="io.save_peaks_csv path")
    run.text("io.save_peaks_csv", table)
    run("io.open_peaks_csv", run.scratch / "peaks.csv")
    crystal_map = run("io.to_orix", refined)
    if not isinstance(crystal_map, Missing):
        run.record("io.to_orix rotations", crystal_map.rotations.data)
    corner = patterns.isel(scan_y=slice(0, 4), scan_x=slice(0, 5))
    run("io.save_blo", corner, run.scratch / "scan.blo", scale=1.0)
    run("io.open_4dstem", run.scratch / "scan.blo", step="io.open_4dstem blo")
    run("io.save", refined, run.scratch / "map.nc", step="io.save acom")
    run("io.load", run.scratch / "map.nc", step="io.load acom")
