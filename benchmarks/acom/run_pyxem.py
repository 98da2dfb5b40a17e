"""pyxem on a scan: centring, background, polar transform, template matching. Runs in pyxem's own environment."""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np

from ..harness import log_progress, record_time
from .common import count_threads, matrix_to_quaternion, place_on_scan, read_scan, save_result, select_positions

warnings.filterwarnings("ignore")

#: diffsims lets the electrons travel along -z of (x right, y up): half a turn about x from the frame of common.py.
FRAME = np.diag([1.0, -1.0, -1.0])
#: A mirrored template is the crystal seen from behind.
BEHIND = np.diag([1.0, -1.0, -1.0])


def main():
    """Index a scan file and write phases, orientations, scores and times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--positions", type=int, default=0, help="random grain interiors, 0 = the whole scan")
    parser.add_argument("--phases", type=int, default=3)
    parser.add_argument("--resolution", type=float, default=2.0)
    parser.add_argument("--gamma", type=float, default=0.4)
    parser.add_argument("--background", choices=("none", "dog"), default="dog")
    parser.add_argument("--excitation", type=float, default=0.02)
    parser.add_argument("--weakest", type=float, default=0.01)
    parser.add_argument("--frac-keep", type=float, default=1.0)
    parser.add_argument("--npt", type=int, default=90)
    chosen = parser.parse_args()
    import dask

    scan = read_scan(chosen.scan)
    scan["phases"] = scan["phases"][: chosen.phases]
    with dask.config.set(scheduler="threads", num_workers=count_threads()):
        save_result(chosen.out, *index_scan(scan, chosen))


def index_scan(scan, chosen):
    """Arrays and info of the whole chain."""
    times = {}
    with record_time(times, "prepare"):
        simulation = build_library(scan, chosen)
    where = select_positions(scan, chosen.positions)
    signal = make_signal(scan, where)
    warm_up(signal, simulation, chosen)
    with record_time(times, "peaks"):
        polar = transform_to_polar(signal, chosen)
    with record_time(times, "match"):
        matches = polar.get_orientation(
            simulation,
            n_best=int(sum(one.size for one in simulation.rotations)),
            frac_keep=chosen.frac_keep,
            show_progressbar=False,
            num_workers=count_threads(),
        )
    shape = scan["truth_phase"].shape
    arrays = {
        name: place_on_scan(array[0], where, shape, -1 if name == "phase" else np.nan)
        for name, array in unpack_best(matches, simulation).items()
    }
    arrays["examined"] = place_on_scan(np.ones(len(where), bool), where, shape, False)
    templates = [int(one.size) for one in simulation.rotations]
    info = {"package": "pyxem", "n_patterns": len(where), "templates": templates, "times": times}
    return arrays, info | {"settings": list_settings(chosen)}


def list_settings(chosen):
    """Settings without the paths."""
    return {name: value for name, value in vars(chosen).items() if name not in ("scan", "out")}


def build_library(scan, chosen):
    """diffsims library of all phases."""
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.sampling import get_sample_reduced_fundamental

    phases = [make_phase(record) for record in scan["phases"]]
    rotations = [get_sample_reduced_fundamental(chosen.resolution, point_group=phase.point_group) for phase in phases]
    generator = SimulationGenerator(
        float(scan["voltage_kv"]),
        precession_angle=float(scan["precession_deg"]),
        minimum_intensity=chosen.weakest,
        approximate_precession=True,
    )
    return generator.calculate_diffraction2d(
        phases,
        rotation=rotations,
        reciprocal_radius=1.55,
        max_excitation_error=chosen.excitation,
        with_direct_beam=False,
    )


def make_phase(record):
    """orix phase with every atom of the cell."""
    from diffpy.structure import Atom, Lattice, Structure
    from orix.crystal_map import Phase

    atoms = [Atom(element, place) for element, place in zip(record["elements"], record["positions"], strict=True)]
    structure = Structure(atoms, Lattice(*record["lattice"]))
    return Phase(str(record["name"]), space_group=int(record["space_group"]), structure=structure)


def make_signal(scan, where):
    """The calibrated signal of the positions, as a scan of one row; pyxem treats every pattern for itself."""
    from pyxem.signals import ElectronDiffraction2D

    signal = ElectronDiffraction2D(scan["intensity"][where[:, 0], where[:, 1]][None].astype(np.float32))
    signal.calibration(center=None, scale=float(scan["pixel_size"]), units="$A^{-1}$")
    return signal


def transform_to_polar(signal, chosen):
    """Centred on the direct beam, background and beam taken away, in polar coordinates, with the gamma."""
    quiet = {"show_progressbar": False, "num_workers": count_threads()}
    size = signal.data.shape[-1]
    shifts = signal.get_direct_beam_position(method="center_of_mass", half_square_width=5)
    centred = signal.center_direct_beam(shifts=shifts, inplace=False, subpixel=True, **quiet)
    if chosen.background == "dog":
        centred = centred.subtract_diffraction_background(
            "difference of gaussians", min_sigma=1.5, max_sigma=5, inplace=False, **quiet
        )
    centred.data = np.maximum(centred.data, 0)
    centred.calibration.center = None
    reach = float(centred.calibration.scale[0]) * size / 2
    polar = centred.get_azimuthal_integral2d(
        npt=chosen.npt, npt_azim=360, radial_range=(0.1, reach), inplace=False, mean=True, **quiet
    )
    polar.data = np.maximum(np.nan_to_num(polar.data), 0) ** chosen.gamma
    return polar


def warm_up(signal, simulation, chosen):
    """Compile what is compiled on first use, on one pattern."""
    few = signal.inav[:2, :1]
    transform_to_polar(few, chosen).get_orientation(
        simulation, n_best=2, frac_keep=1.0, show_progressbar=False, num_workers=1
    )


def unpack_best(matches, simulation):
    """Best orientation and score, best score of another phase and of another orientation."""
    bounds = np.cumsum([one.size for one in simulation.rotations])
    data = matches.data
    phases = np.searchsorted(bounds, data[..., 0], side="right")
    score = data[..., 0, 1]
    quaternion = matrix_to_quaternion(compute_orientations(data[..., 0, :], simulation))
    other = np.where(phases != phases[..., :1], data[..., 1], 0).max(axis=-1)
    distinct = find_second_distinct(data, phases, simulation)
    with np.errstate(invalid="ignore", divide="ignore"):
        reliability = 100 * (1 - distinct / score)
        phase_reliability = 100 * (1 - other / score)
    return {
        "phase": phases[..., 0],
        "quaternion": quaternion,
        "score": score,
        "reliability": reliability,
        "phase_reliability": phase_reliability,
        "own_quaternion": convert_with_pyxem(data[..., :1, :], simulation),
    }


def find_second_distinct(data, phases, simulation):
    """Best score of the same phase whose beam direction is more than 5 degrees off."""
    axes = np.concatenate([compute_zone_axes(one) for one in simulation.rotations])
    index = data[..., 0].astype(int)
    cosine = np.abs(np.einsum("...kc,...c->...k", axes[index], axes[index[..., 0]]))
    distinct = (cosine < np.cos(np.radians(5))) & (phases == phases[..., :1])
    return np.where(distinct, data[..., 1], 0).max(axis=-1)


def compute_zone_axes(rotations):
    """Beam directions (n, 3) in the crystal frame."""
    from orix.vector import Vector3d

    return (~rotations * Vector3d.zvector()).unit.data.reshape(-1, 3)


def compute_orientations(best, simulation):
    """Matrices (y, x, 3, 3), sample to crystal, of rows (index, correlation, in-plane angle, mirror).

    Written out here because ``to_rotation`` of pyxem 0.21 puts the in-plane angle in the place of the first Euler
    angle of the template. That is right only where the library has the same one throughout; see
    ``convert_with_pyxem``.
    """
    library = compute_matrices(np.vstack([one.data for one in simulation.rotations]))
    turn = np.radians(best[..., 2])
    lab = np.zeros((*turn.shape, 3, 3))
    lab[..., 0, 0] = lab[..., 1, 1] = np.cos(turn)
    lab[..., 1, 0], lab[..., 0, 1], lab[..., 2, 2] = np.sin(turn), -np.sin(turn), 1
    behind = np.where((best[..., 3] < 0)[..., None, None], BEHIND, np.eye(3))
    to_lab = np.swapaxes(library[best[..., 0].astype(int)], -1, -2)
    return np.swapaxes(FRAME @ lab @ behind @ to_lab, -1, -2)


def convert_with_pyxem(best, simulation):
    """Quaternions (y, x, 4) of ``to_rotation`` in the frame of common.py: half a turn about y, as found best."""
    from pyxem.signals.indexation_results import rotation_from_orientation_map

    rots = np.vstack([one.data for one in simulation.rotations])
    own = np.asarray(rotation_from_orientation_map(best.reshape(-1, 4), rots)).reshape(*best.shape[:-2], 4)
    return matrix_to_quaternion(compute_matrices(own) @ np.diag([-1.0, 1.0, -1.0]))


def compute_matrices(quaternion):
    """Rotation matrices of quaternions (..., 4)."""
    from orix.quaternion import Rotation

    return Rotation(quaternion.reshape(-1, 4)).to_matrix().reshape(*quaternion.shape[:-1], 3, 3)


if __name__ == "__main__":
    os.environ.setdefault("NUMBA_NUM_THREADS", str(count_threads()))
    log_progress("pyxem")
    main()
