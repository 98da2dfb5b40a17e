"""NumPy's and torch's arrays under the same code: the few calls that differ, and the transfer to the device."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ...errors import SchemaError


def get_namespace(array: Any) -> Any:
    """``numpy`` or ``torch``, whichever the array belongs to."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def make_contiguous(array: Any) -> Any:
    """The same values in one contiguous piece of memory."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def compute_dot(first: Any, second: Any) -> float:
    """Sum of the elementwise products of two matrices, accumulated in double precision."""
    if isinstance(first, np.ndarray):
        if first.flags.c_contiguous and second.flags.c_contiguous and first.dtype == second.dtype == np.float32:
            return float(_sum_products(first, second))
        # einsum converts piece by piece: no double copy of either matrix.
        return float(np.einsum("ij,ij->", first, second, dtype=np.float64))
    return float((first.double() * second.double()).sum())


def sum_and_check_sign(values: NDArray[np.float32]) -> tuple[float, bool]:
    """Sum of a matrix in double precision (NaN where any value is), and whether any value is below 0."""
    total, negative = _sum_values(values)
    return float(total), bool(negative)


# Sums may be taken in any order, so that several are added at a time; NaN and infinity keep their meaning.
@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"reassoc", "nsz", "contract"})
def _sum_products(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Sum of products, row by row in double precision."""
    total = 0.0
    for i in range(first.shape[0]):
        a, b = first[i], second[i]
        for j in range(len(a)):
            total += np.float64(a[j]) * np.float64(b[j])
    return total


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"reassoc", "nsz", "contract"})
def _sum_values(values: NDArray[np.float32]) -> tuple[float, int]:
    """Sum, and number of negative values (row by row)."""
    total, negative = 0.0, 0
    for i in range(values.shape[0]):
        row = values[i]
        for j in range(len(row)):
            total += np.float64(row[j])
            negative += row[j] < 0
    return total, negative


def compute_gram(rows: Any) -> Any:
    """Gram matrix (row, row) of the rows, in double precision."""
    # Double: errors of fits are differences of such products, and nearly cancel for a good fit.
    wide = rows.astype(np.float64) if isinstance(rows, np.ndarray) else rows.double()
    return wide @ wide.T


def to_single(array: Any) -> Any:
    """The same values in single precision."""
    return array.astype(np.float32) if isinstance(array, np.ndarray) else array.float()


def find_device(device: str, step: str) -> Any:
    """``None`` for compiled code on the processor, else the torch device; ``"auto"``: a CUDA GPU if there is one."""
    if device == "cpu":
        return None
    import torch

    if device == "auto":
        return torch.device("cuda") if torch.cuda.is_available() else None
    try:
        found = torch.device(device)
        torch.zeros(1, device=found)  # a device can be named that is not there; an allocation then fails
    except (RuntimeError, AssertionError) as error:
        raise SchemaError(
            f"{step}: device = {device!r} is not available here ({error}). Use 'cpu' or 'auto'."
        ) from None
    return found


def to_device(array: Any, device: Any) -> Any:
    """A tensor on the device, sharing memory where it can; without a device the array itself."""
    if device is None:
        return array
    import torch

    return torch.as_tensor(array, device=device)


def convert_like(array: Any, other: Any) -> Any:
    """The array as NumPy's where ``other`` is NumPy's, else as a tensor on the other's device."""
    return array if isinstance(other, np.ndarray) else to_device(array, other.device)


def to_numpy(array: Any) -> Any:
    """The array as NumPy's, copied from the device if need be."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()
