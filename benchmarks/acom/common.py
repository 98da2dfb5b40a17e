"""What all runners share: the scan file and the result file. Needs only NumPy and h5py, in any version.

Frame of ``truth_quaternion``, ``truth_matrix`` and of every result: x to the right, y down, z along the electrons;
the rotation takes the sample frame into the crystal frame (x along a, z along c*), v_crystal = R v_sample.
"""

import json
import os

import h5py
import numpy as np

from ..harness import peak_memory_mb


def read_scan(path):
    """The scan file: ``intensity``, the truths, calibration, and the phases."""
    with h5py.File(path, "r") as file:
        out = {name: file[name][...] for name in file if name != "phases"}
        out |= {name: file.attrs[name] for name in ("pixel_size", "voltage_kv", "precession_deg")}
    return out | {"phases": read_phases(path)}


def read_phases(path):
    """Phase records of a scan file: lattice, elements, positions, b_iso, name, space_group."""
    with h5py.File(path, "r") as file:
        return [_read_phase(file["phases"][name]) for name in sorted(file["phases"])]


def select_positions(scan, count):
    """Scan positions (n, 2) of slow packages: random ``count`` grain interiors and an eighth as many of vacuum.

    The same for every package; a smaller count is the beginning of a larger one. 0 takes all positions.
    """
    shape = scan["truth_phase"].shape
    if not count:
        return np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=1)
    rng = np.random.default_rng(5)
    vacuum = scan["truth_phase"] < 0
    inside = scan["truth_interior"].astype(bool) & ~vacuum
    parts = [rng.permutation(np.argwhere(mask))[:n] for mask, n in ((inside, count), (vacuum, count // 8))]
    return np.concatenate(parts)


def place_on_scan(values, positions, shape, empty):
    """Values (n, ...) of positions as an array over the scan, ``empty`` elsewhere."""
    out = np.full((*shape, *np.shape(values)[1:]), empty, dtype=np.result_type(np.asarray(values).dtype, type(empty)))
    out[positions[:, 0], positions[:, 1]] = values
    return out


def _read_phase(group):
    phase = {name: group[name][...] for name in group}
    phase["elements"] = [name.decode() for name in phase["elements"]]
    return phase | {name: group.attrs[name] for name in group.attrs}


def count_threads():
    """Threads the runner was told to use."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def save_result(path, arrays, info):
    """Arrays and a JSON of the rest as one npz; ``info`` gets the peak memory."""
    info = {**info, "peak_memory_mb": peak_memory_mb(), "threads": count_threads()}
    np.savez(path, info=json.dumps(info), **arrays)


def load_result(path):
    """Arrays and info of ``save_result``."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "info"}
        return arrays, json.loads(str(file["info"]))


def matrix_to_quaternion(matrix):
    """Unit quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3); NaN stays NaN."""
    m = np.asarray(matrix, dtype=float)
    trace = np.trace(m, axis1=-2, axis2=-1)
    diagonal = np.einsum("...ii->...i", m)
    size = np.sqrt(np.maximum(np.stack([1 + trace, *(1 + 2 * diagonal[..., k] - trace for k in range(3))]), 0)) / 2
    w, x, y, z = size
    lower = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]])
    upper = np.stack([m[..., 2, 1] + m[..., 1, 2], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 0] + m[..., 0, 1]])
    columns = np.stack(
        [
            np.stack([4 * w * w, lower[0], lower[1], lower[2]], axis=-1),
            np.stack([lower[0], 4 * x * x, upper[2], upper[1]], axis=-1),
            np.stack([lower[1], upper[2], 4 * y * y, upper[0]], axis=-1),
            np.stack([lower[2], upper[1], upper[0], 4 * z * z], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.nan_to_num(size), axis=0)
    chosen = np.take_along_axis(columns, best[..., None, None], axis=-2)[..., 0, :]
    chosen = chosen / np.linalg.norm(chosen, axis=-1, keepdims=True)
    return np.where(chosen[..., :1] < 0, -chosen, chosen)
