"""py4DSTEM on a scan: Bragg disks, origin, ACOM of every phase. Runs in py4DSTEM's own environment."""

import argparse
import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np

from ..harness import log_progress, record_time
from .common import matrix_to_quaternion, place_on_scan, read_scan, save_result, select_positions

warnings.filterwarnings("ignore")

#: py4DSTEM has x along the rows (down), y along the columns (right), z towards the source.
FRAME = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def main():
    """Index a scan file and write peaks, phases, orientations, scores and times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--positions", type=int, default=0, help="random grain interiors to match, 0 = the whole scan")
    parser.add_argument("--phases", type=int, default=3)
    parser.add_argument("--resolution", type=float, default=2.0)
    parser.add_argument("--in-plane", type=float, default=2.0)
    parser.add_argument("--kernel", type=float, default=0.08)
    parser.add_argument("--excitation", type=float, default=0.02)
    parser.add_argument("--power", type=float, default=0.25)
    parser.add_argument("--precession", type=int, default=1)
    parser.add_argument("--level", type=float, default=5.0, help="minAbsoluteIntensity in standard errors of the noise")
    parser.add_argument("--peaks-only", action="store_true")
    chosen = parser.parse_args()
    scan = read_scan(chosen.scan)
    scan["phases"] = scan["phases"][: chosen.phases]
    with contextlib.redirect_stdout(io.StringIO()):
        arrays, info = index_scan(scan, chosen)
    save_result(chosen.out, arrays, info)


def index_scan(scan, chosen):
    """Arrays and info of the whole chain."""
    times = {}
    cube, probe = make_cube(scan), make_probe(scan)
    warm = make_cube({"intensity": scan["intensity"][:2, :2]})
    find_peaks(warm, probe, chosen)
    with record_time(times, "peaks"):
        peaks, threshold = find_peaks(cube, probe, chosen)
        calibrate(peaks, scan)
    arrays = list_peaks(peaks, scan)
    where = select_positions(scan, chosen.positions)
    info = {
        "package": "py4DSTEM",
        "n_patterns": len(where),
        "n_patterns_peaks": scan["truth_phase"].size,
        "times": times,
    }
    info["settings"] = {k: v for k, v in vars(chosen).items() if k not in ("scan", "out")} | {"threshold": threshold}
    if not chosen.peaks_only:
        with record_time(times, "prepare"):
            crystals = [plan_orientations(record, scan, chosen) for record in scan["phases"]]
        info["templates"] = [int(crystal.orientation_num_zones) for crystal in crystals]
        with record_time(times, "match"):
            matches = [[match_position(crystal, peaks, place) for place in where] for crystal in crystals]
        shape = scan["truth_phase"].shape
        results = {
            name: place_on_scan(a, where, shape, -1 if name == "phase" else np.nan)
            for name, a in unpack_best(matches).items()
        }
        arrays |= results | {"examined": place_on_scan(np.ones(len(where), bool), where, shape, False)}
    return arrays, info


def make_cube(scan):
    """Data cube of counts."""
    import py4DSTEM

    return py4DSTEM.DataCube(scan["intensity"])


def make_probe(scan):
    """Return the kernel of a synthetic probe of the size of the direct beam."""
    import py4DSTEM

    size = scan["intensity"].shape[-2:]
    probe = py4DSTEM.Probe.generate_synthetic_probe(radius=2.5, width=0.5, Qshape=size)
    probe.get_kernel(mode="sigmoid", radii=(2.5, 6.0), origin=((size[0]) / 2, (size[1]) / 2))
    return probe


def find_peaks(cube, probe, chosen):
    """Bragg vectors, with the threshold of the correlation set from the noise of this dose, and the threshold."""
    common = {
        "template": probe.kernel,
        "corrPower": 1.0,
        "sigma_cc": 1.0,
        "edgeBoundary": 3,
        "minPeakSpacing": 4,
        "minRelativeIntensity": 0,
        "maxNumPeaks": 100,
        "subpixel": "poly",
        "relativeToPeak": 0,
    }
    threshold = chosen.level * estimate_noise(cube, probe)
    from py4DSTEM.braggvectors import diskdetection

    with contextlib.redirect_stderr(io.StringIO()):
        peaks = diskdetection.find_Bragg_disks(cube, minAbsoluteIntensity=threshold, **common)
    return peaks, float(threshold)


def estimate_noise(cube, probe):
    """Standard deviation of the smoothed correlation in the corners of some patterns."""
    from scipy.ndimage import gaussian_filter

    data = cube.data[:: max(cube.data.shape[0] // 6, 1), :: max(cube.data.shape[1] // 6, 1)]
    data = data.reshape(-1, *data.shape[-2:])
    kernel = np.conj(np.fft.fft2(probe.kernel))
    correlation = np.real(np.fft.ifft2(np.fft.fft2(data) * kernel))
    smooth = np.array([gaussian_filter(one, 1.0) for one in correlation])
    y, x = (np.arange(n) - (n - 1) / 2 for n in data.shape[-2:])
    radius = np.hypot(y[:, None], x)
    ring = (radius > 0.3 * len(y)) & (radius < 0.47 * len(y))
    quiet = smooth[:, ring]
    robust = 1.4826 * np.median(np.abs(quiet - np.median(quiet)))
    # At low dose most places hold no electron at all, and the median tells nothing.
    return max(robust, quiet[quiet <= np.percentile(quiet, 99)].std())


def calibrate(peaks, scan):
    """Origin measured and fitted with a parabola; pixel size known; no ellipse, no rotation."""
    size = scan["intensity"].shape[-1]
    with contextlib.redirect_stderr(io.StringIO()):
        peaks.measure_origin(center_guess=(size / 2, size / 2))
        peaks.fit_origin(fitfunction="parabola", plot=False)
    peaks.calibration.set_Q_pixel_size(float(scan["pixel_size"]))
    peaks.calibration.set_Q_pixel_units("A^-1")
    peaks.setcal()


def list_peaks(peaks, scan):
    """Raw peaks (y, x, peak) in detector pixels and correlation, NaN behind the last."""
    shape = scan["truth_phase"].shape
    table = np.full((*shape, 3, 100), np.nan, np.float32)
    for position in np.ndindex(*shape):
        raw = peaks.raw[position].data
        for row, name in enumerate(("qx", "qy", "intensity")):
            table[(*position, row, slice(0, len(raw)))] = raw[name][:100]
    return {"peak_y": table[:, :, 0], "peak_x": table[:, :, 1], "peak_intensity": table[:, :, 2]}


def plan_orientations(record, scan, chosen):
    """Crystal with structure factors and orientation plan."""
    import pymatgen  # noqa: F401 -- py4DSTEM looks whether it has been imported
    from py4DSTEM.process.diffraction import Crystal
    from pymatgen.core import Element

    numbers = [Element(name).Z for name in record["elements"]]
    crystal = Crystal(record["positions"], numbers, np.asarray(record["lattice"], dtype=float))
    crystal.pymatgen_available = True
    crystal.calculate_structure_factors(1.55)
    crystal.orientation_plan(
        zone_axis_range="auto",
        angle_step_zone_axis=chosen.resolution,
        angle_step_in_plane=chosen.in_plane,
        accel_voltage=float(scan["voltage_kv"]) * 1e3,
        corr_kernel_size=chosen.kernel,
        sigma_excitation_error=chosen.excitation,
        precession_angle_degrees=float(scan["precession_deg"]) if chosen.precession else None,
        power_intensity=chosen.power,
        power_intensity_experiment=chosen.power,
        progress_bar=False,
    )
    return crystal


def match_position(crystal, peaks, place):
    """What ``match_orientations`` does for one position: correlation and orientation matrix of the best match."""
    vectors = peaks.get_vectors(*(int(i) for i in place), center=True, ellipse=False, pixel=True, rotate=False)
    best = crystal.match_single_pattern(vectors, num_matches_return=1, verbose=False)
    return float(best.corr[0]), np.array(best.matrix[0])


def unpack_best(matches):
    """Phase of the highest correlation, its orientation and scores; ``matches[phase][position]``."""
    score = np.stack([[one[0] for one in row] for row in matches], axis=-1)
    matrix = np.stack([[one[1] for one in row] for row in matches], axis=1)
    best = np.argmax(score, axis=-1)
    matrix = np.take_along_axis(matrix, best[:, None, None, None], axis=1)[:, 0]
    top = np.sort(score, axis=-1)
    indexed = top[..., -1] > 0
    quaternion = matrix_to_quaternion(matrix @ FRAME.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        phase_reliability = np.where(indexed, 100 * (1 - top[..., -2] / top[..., -1]), np.nan)
    return {
        "phase": np.where(indexed, best, -1),
        "quaternion": np.where(indexed[..., None], quaternion, np.nan),
        "score": np.where(indexed, top[..., -1], np.nan),
        "phase_reliability": phase_reliability,
        "scores": score,
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    log_progress("py4DSTEM")
    main()
