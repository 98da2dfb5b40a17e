"""Numbers of a page as whole numbers of 8 or 16 bit, with the largest error that this makes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Codes(NamedTuple):
    r"""Whole numbers that stand for values.

    ``kind`` says how a code c becomes a value again:

    - ``"even"``: :math:`v = v_0 + s\,c`,
    - ``"ratio"``: :math:`v = v_0\,e^{s (c - 1)}`, and 0 for the code 0.
    """

    codes: NDArray[Any]
    kind: str = "even"
    low: float = 0.0  # v_0
    step: float = 1.0  # s
    missing: int | None = None  # code of NaN; None: there is none
    error: float = 0.0  # largest |value - decoded| ("even"), or largest relative one ("ratio")


def quantise_evenly(values: ArrayLike, *, bits: int = 16, step: float = 0.0) -> Codes:
    """Codes of equal steps between the smallest and the largest finite value; NaN and infinity become ``missing``.

    ``step`` is the finest step that is wanted. It is made larger where the range does not fit into ``bits``.

    Examples
    --------
    >>> decode(quantise_evenly([0.0, 0.5, 1.0, np.nan], bits=8)).round(3)
    array([0. , 0.5, 1. , nan])
    """
    array = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(array)
    low, high = (float(array[finite].min()), float(array[finite].max())) if finite.any() else (0.0, 0.0)
    missing = 2**bits - 1
    chosen = max(step, (high - low) / (missing - 1)) or 1.0
    codes = np.where(finite, np.rint((np.where(finite, array, low) - low) / chosen), missing)
    # As it is for these values; half a step at most.
    error = float(np.abs(low + chosen * codes - array)[finite].max(initial=0.0))
    return Codes(codes.astype(_choose_type(bits)), "even", low, chosen, missing, error)


def quantise_by_ratio(values: ArrayLike, *, bits: int = 8) -> Codes:
    """Codes of equal ratios between the smallest and the largest positive value; values up to 0 become 0.

    Examples
    --------
    >>> decode(quantise_by_ratio([0.0, 1.0, 10.0, 100.0])).round(0)
    array([  0.,   1.,  10., 100.])
    """
    array = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(array)
    positive = finite & (array > 0)
    missing = 2**bits - 1
    if not positive.any():
        return Codes(np.where(finite, 0, missing).astype(_choose_type(bits)), "ratio", 1.0, 0.0, missing, 0.0)
    logs = np.log(np.where(positive, array, 1.0))
    low, high = float(logs[positive].min()), float(logs[positive].max())
    step = (high - low) / (missing - 2)
    codes = np.where(positive, np.rint((logs - low) / (step or 1.0)) + 1, np.where(finite, 0, missing))
    error = float(np.abs(np.expm1(low + step * (codes - 1) - logs))[positive].max(initial=0.0))
    return Codes(codes.astype(_choose_type(bits)), "ratio", float(np.exp(low)), step, missing, error)


def store_indices(values: ArrayLike, *, n: int) -> Codes:
    """Indices 0 to n - 1 as they are; others and NaN become ``missing``."""
    array = np.asarray(values, dtype=np.float64)
    bits = 8 if n < 255 else 16
    missing = 2**bits - 1
    valid = np.isfinite(array) & (array >= 0) & (array < n)
    return Codes(np.where(valid, np.where(valid, array, 0), missing).astype(_choose_type(bits)), missing=missing)


def store_counts(values: ArrayLike) -> Codes:
    """Whole numbers from 0 as they are, with as many bytes as the largest needs."""
    array = np.asarray(values)
    largest = int(array.max()) if array.size else 0
    return Codes(array.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32))


def count_positions(values: ArrayLike, positions: ArrayLike, *, otherwise: int) -> Codes:
    """Number of slider positions (ascending) that do not exceed each value: a threshold is compared exactly by it.

    A value is at least the position i, where its number is larger than i. So a page that knows this number agrees with
    the library at every position, however coarsely it knows the value. NaN gives ``otherwise``.

    Examples
    --------
    >>> count_positions([0.0, 0.1, 0.25, np.nan], [0.0, 0.1, 0.2, 0.3], otherwise=0).codes
    array([1, 2, 3, 0], dtype=uint8)
    """
    array = np.asarray(values)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    # In the precision of the values, as NumPy compares an array with a plain number.
    counted = np.searchsorted(np.asarray(positions, dtype=array.dtype), np.nan_to_num(array, nan=0.0), side="right")
    return store_counts(np.where(np.isnan(array), otherwise, counted))


def decode(coded: Codes) -> NDArray[np.float64]:
    """Values that the page makes of the codes."""
    codes = coded.codes.astype(np.float64)
    if coded.kind == "ratio":
        values = np.where(codes == 0, 0.0, coded.low * np.exp(coded.step * (codes - 1)))
    else:
        values = coded.low + coded.step * codes
    return values if coded.missing is None else np.where(codes == coded.missing, np.nan, values)


def _choose_type(bits: int) -> Any:
    return np.uint8 if bits == 8 else np.uint16
