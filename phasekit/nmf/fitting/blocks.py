"""The data as the factorisation reads them: blocks of rows (scan points), from memory or computed one after another."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from .arrays import compute_dot, convert_like, to_numpy
from .hals import Array, LowRank

_BLOCK_BYTES = 2 << 20  # in memory: few enough rows for a matrix product to find them in the cache
_STREAM_BYTES = 128 << 20  # from a file: enough rows to make reading worth while

Block = tuple[slice, Array]


class RowSource(Protocol):
    """Anything that gives the rows of the data, in order, as often as asked."""

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        ...

    def read_blocks(self) -> Iterator[Block]:
        """Row range and values (rows, feature), float32."""
        ...


def check_block(lowest: float, total: float, step: str, *, missing: bool) -> None:
    """Refuse values below zero, and values that are not finite unless the features may have missing values."""
    if not np.isfinite(total) and not missing:
        raise SchemaError(
            f"{step}: the features hold NaN or infinite values, needs finite ones. Fill the patterns "
            "(patterns.fillna(0)), cut these scan points away, or keep holes as missing: to_features(missing='keep')."
        )
    if lowest < 0:
        raise SchemaError(
            f"{step}: feature_value goes down to {lowest:g}, needs values >= 0. Add the offset that was subtracted "
            "from the patterns, or clip the noise: patterns.assign(intensity=patterns.intensity.clip(min=0))."
        )


class InMemoryRows(NamedTuple):
    """A matrix (scan point, feature) in memory; blocks are views of it."""

    data: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        return self.data.shape[0], self.data.shape[1]

    def read_blocks(self) -> Iterator[Block]:
        """Views of some rows."""
        for rows in _split_rows(self.shape):
            yield rows, self.data[rows]


class LazyRows(NamedTuple):
    """Features that stay in their file; every pass computes them block by block, one block in memory at a time."""

    values: xr.DataArray
    step: str
    missing: bool = False  # some values are NaN, and may be

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        return self.values.sizes["scan_y"] * self.values.sizes["scan_x"], self.values.sizes["feature"]

    def read_blocks(self) -> Iterator[Block]:
        """Whole scan lines at a time, as many as the data's own chunks hold."""
        values = self.values.transpose("scan_y", "scan_x", "feature")
        width, n_features = values.sizes["scan_x"], values.sizes["feature"]
        for lines in _split_scan_lines(values):
            block = np.asarray(values.isel(scan_y=lines).data, dtype=np.float32)
            # Checked here, because the values of a lazy array are first read in this pass.
            lowest = float(np.fmin.reduce(block, axis=None))
            check_block(lowest, float(block.sum(dtype=np.float64)), self.step, missing=self.missing)
            yield slice(lines.start * width, lines.stop * width), block.reshape(-1, n_features)


def _split_scan_lines(values: xr.DataArray) -> Iterator[slice]:
    """Ranges of scan lines along the chunks of the data; chunks too large are cut, small ones joined."""
    # Reading along the file's own chunks: a chunk cut in two would be read twice.
    line = 4 * values.sizes["scan_x"] * values.sizes["feature"]
    most = max(1, _STREAM_BYTES // line)
    n, own = values.sizes["scan_y"], values.chunksizes.get("scan_y", (values.sizes["scan_y"],))
    size = own[0] * max(1, most // own[0]) if own[0] <= most else most
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _split_rows(shape: tuple[int, int]) -> Iterator[slice]:
    """Ranges of rows that together take about ``_BLOCK_BYTES``."""
    step = max(16, _BLOCK_BYTES // (4 * shape[1]))
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


class MeanFilled(NamedTuple):
    """The rows of another source with every missing value (NaN) replaced by its feature's mean over the scan."""

    base: RowSource
    mean: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        return self.base.shape

    def read_blocks(self) -> Iterator[Block]:
        """Rows without missing values."""
        for rows, block in self.base.read_blocks():
            yield rows, np.where(np.isnan(block), self.mean, block)


def fill_with_mean(source: RowSource) -> MeanFilled:
    """Read all rows once for their features' means; a feature that was never measured is 0."""
    total, measured = np.zeros((2, source.shape[1]))
    for _, block in source.read_blocks():
        total += np.nansum(block, axis=0, dtype=np.float64)
        measured += np.isfinite(block).sum(axis=0)
    return MeanFilled(source, (total / np.maximum(measured, 1)).astype(np.float32))


def compress_rows(source: RowSource, rank: int, rng: np.random.Generator, n_passes: int = 3) -> LowRank:
    r"""Randomised truncated SVD :math:`V \approx U S\, Q^T`, reading the rows ``n_passes`` + 1 times.

    Each pass applies :math:`V^T V` to the last basis :math:`Q_i` of feature space:

    .. math::

        Q_{i+1} = \mathrm{orth}(V^T V Q_i).

    One reading of a row serves both products. All bases together span a block Krylov space (Musco and Musco, NIPS 28
    (2015) 1396, algorithm 2). In it components barely above the noise of a low dose are found, which the last basis
    alone misses.
    """
    n, features = source.shape
    # Eight directions more than asked for: the last ones of a random basis are found poorly.
    rank = min(rank, n, features)
    basis = rng.standard_normal((features, min(rank + 8, n, features)), dtype=np.float32)
    bases = []
    # Power iteration: each pass turns the basis towards the strongest directions of feature space.
    for _ in range(n_passes):
        image = np.zeros_like(basis)
        for _, block in source.read_blocks():
            image += to_numpy(block.T @ (block @ convert_like(basis, block)))
        basis = _orthonormalise_columns(image)
        bases.append(basis)
    basis = _orthonormalise_columns(np.concatenate(bases, axis=1))
    del bases, image
    # The last pass projects the rows onto the joint basis, which holds nearly all that is not noise.
    scores, norm2 = np.empty((n, basis.shape[1]), dtype=np.float32), 0.0
    for rows, block in source.read_blocks():
        scores[rows] = to_numpy(block @ convert_like(basis, block))
        norm2 += compute_dot(block, block)
    # Principal axes of the projected rows: a singular value decomposition without a second copy of them.
    _, turn = np.linalg.eigh(_sum_gram(scores))
    turn = turn[:, ::-1][:, :rank].astype(np.float32)
    return LowRank(scores @ turn, np.ascontiguousarray(turn.T @ basis.T), norm2)


def _sum_gram(rows: Array) -> NDArray[np.float64]:
    """Rows^T rows in double precision, some rows at a time."""
    total = np.zeros((rows.shape[1],) * 2)
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024].astype(np.float64)
        total += part.T @ part
    return total


def _orthonormalise_columns(columns: Array) -> Array:
    """Orthonormal basis of the columns, in single precision throughout (NumPy's QR would make double copies)."""
    from scipy.linalg import qr

    # Columns near 1, by powers of two: the squares of weak ones, which may be rounding, would underflow.
    exponent = np.frexp(np.abs(columns).max(axis=0))[1]
    columns = columns * np.exp2(-exponent.clip(-120, 120)).astype(np.float32)
    return np.asarray(qr(columns, mode="economic", overwrite_a=True, check_finite=False)[0])
