"""The data as the factorisation reads them: blocks of rows (scan points), from memory or computed one after another."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from .arrays import compute_dot, compute_gram, convert_like, to_numpy
from .hals import Array, LowRank

_BLOCK_BYTES = 2 << 20  # in memory: few enough rows for a matrix product to find them in the cache
_NEW_DIRECTION = 1e-6  # of the largest product: a direction that has less is rounding
_SAMPLE_ROWS, _SAMPLE_EVERY = 32, 8  # a start is found from so many rows in a row of every so many times as many
_STREAM_BYTES = 128 << 20  # from a file: enough rows to make reading worth while

Block = tuple[slice, Array]


class RowSource(Protocol):
    """Anything that gives the rows of the data, in order, as often as asked."""

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        ...

    @property
    def is_costly(self) -> bool:
        """True where a block costs more time than its products do."""
        ...

    def read_blocks(self) -> Iterator[Block]:
        """Row range and values (rows, feature), float32; they are valid until the next rows are read."""
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

    @property
    def is_costly(self) -> bool:
        """False: blocks are views."""
        return False

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

    @property
    def is_costly(self) -> bool:
        """False, so that the same is done as with rows in memory: any chunking gives the same answer."""
        return False

    def read_blocks(self) -> Iterator[Block]:
        """The blocks of rows in memory, so that sums over the rows do not depend on the chunks."""
        parts = self._read_scan_lines()
        start, held = 0, np.empty((0, self.shape[1]), np.float32)
        for rows in _split_rows(self.shape):
            while start + len(held) < rows.stop:
                # The rest of the lines before, less than one block, is copied in front of the next ones.
                rest = held[rows.start - start :]
                part = next(parts)
                start, held = rows.start, np.concatenate([rest, part]) if len(rest) else part
            yield rows, held[rows.start - start : rows.stop - start]

    def _read_scan_lines(self) -> Iterator[Array]:
        """Rows of whole scan lines, as many lines at a time as the data's own chunks hold."""
        values = self.values.transpose("scan_y", "scan_x", "feature")
        for lines in _split_scan_lines(values):
            block = np.asarray(values.isel(scan_y=lines).data, dtype=np.float32)
            # Checked here, because the values of a lazy array are first read in this pass.
            lowest = float(np.fmin.reduce(block, axis=None))
            check_block(lowest, float(block.sum(dtype=np.float64)), self.step, missing=self.missing)
            yield block.reshape(-1, values.sizes["feature"])


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

    @property
    def is_costly(self) -> bool:
        """As the rows themselves."""
        return self.base.is_costly

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

    Each pass applies :math:`V^T V` to the last basis :math:`Q_i` of feature space and keeps what is new:

    .. math::

        Q_{i+1} = \mathrm{orth}\left((1 - \textstyle\sum_{j \le i} Q_j Q_j^T)\, V^T V Q_i\right).

    One reading of a row serves both products, and :math:`V Q_i` is kept. All bases together span a block Krylov space
    (Musco and Musco, NIPS 28 (2015) 1396, algorithm 2). In it components barely above the noise of a low dose are
    found, which the last basis alone misses. Rows that cost little are read once more for a better start: random
    directions times :math:`V^T V` of an eighth of the rows.
    """
    n, features = source.shape
    rank = min(rank, n, features)
    # From a good start narrow bases are enough, of which several together hold the directions asked for.
    # A multiple of eight: matrix products of fewer rows take as long.
    width = min(rank + 8 if source.is_costly else -(-3 * rank // 32) * 8, n, features)
    space = _KrylovSpace(width * (n_passes + 1), features, n)
    basis = rng.standard_normal((width, features), dtype=np.float32)
    sampled = not source.is_costly and n >= _SAMPLE_EVERY * _SAMPLE_ROWS
    if not (sampled and space.add(_apply_gram(source, basis, space.scores[:width], sampled=True))):
        space.add(basis)
    del basis
    for _ in range(n_passes):
        if not space.add(_apply_gram(source, space.last, space.last_scores)):
            break
    norm2 = 0.0
    for rows, block in source.read_blocks():
        space.last_scores[:, rows] = to_numpy(convert_like(space.last, block) @ block.T)
        norm2 += compute_dot(block, block)
    return space.truncate(rank, norm2)


def _apply_gram(source: RowSource, basis: Array, scores: Array, *, sampled: bool = False) -> Array:
    """Basis (k, feature) times V^T V, and basis times V^T into ``scores`` (k, pixel); of an eighth of the rows."""
    image = np.zeros_like(basis)
    for rows, values in source.read_blocks():
        # The same rows are sampled whatever the blocks are.
        wanted = np.arange(rows.start, rows.stop) // _SAMPLE_ROWS % _SAMPLE_EVERY == 0
        block = values[wanted] if sampled else values
        projected = convert_like(basis, block) @ block.T
        image += to_numpy(projected @ block)
        if not sampled:
            scores[:, rows] = to_numpy(projected)
    return image


class _KrylovSpace:
    """Orthonormal rows in feature space, block after block, and what the data's rows have along them."""

    def __init__(self, largest: int, features: int, n: int) -> None:
        self.basis: Array = np.empty((largest, features), dtype=np.float32)
        self.scores: Array = np.empty((largest, n), dtype=np.float32)
        self.size = self.start = 0

    @property
    def last(self) -> Array:
        """The newest block of directions, (k, feature)."""
        return self.basis[self.start : self.size]

    @property
    def last_scores(self) -> Array:
        """Products of the data with the newest directions, (k, pixel)."""
        return self.scores[self.start : self.size]

    def add(self, image: Array) -> bool:
        """Add what is new in the rows of ``image``, orthonormal; False where nothing is but rounding.

        ``image`` is overwritten.
        """
        known = self.basis[: self.size]
        largest = max(float(np.abs(image).max()), float(np.finfo(np.float32).tiny))
        image /= np.float32(largest)  # squares do not overflow
        level = float(np.linalg.norm(image, axis=1).max())
        if not np.isfinite(level):
            return False
        for _ in range(2):  # once more, because the first time leaves the rounding of large numbers
            image -= (image @ known.T) @ known
        strength, turn = np.linalg.eigh(compute_gram(image))
        found = strength > (_NEW_DIRECTION * level) ** 2
        if not found.any():
            return False
        turn = np.asarray(turn[:, found] / np.sqrt(strength[found]), dtype=np.float32)
        rows: Array = np.asarray(turn.T @ image, dtype=np.float32)
        rows -= (rows @ known.T) @ known
        rows = _orthonormalise_columns(rows.T).T
        self.start, self.size = self.size, self.size + len(rows)
        self.basis[self.start : self.size] = rows
        return True

    def truncate(self, rank: int, norm2: float) -> LowRank:
        """The strongest ``rank`` directions in this space: principal axes of the rows projected onto it."""
        scores = self.scores[: self.size]
        # What has overflowed is refused where the rank of the data is checked.
        _, turn = np.linalg.eigh(np.nan_to_num(_sum_gram(scores), nan=0.0, posinf=0.0, neginf=0.0))
        # Data of a lower rank have no further directions: they stay 0.
        axes = np.zeros((self.size, rank), dtype=np.float32)
        axes[:, : min(rank, self.size)] = turn[:, ::-1][:, :rank]
        return LowRank(scores.T @ axes, axes.T @ self.basis[: self.size], norm2)


def _sum_gram(scores: Array) -> NDArray[np.float64]:
    """Scores scores^T (row, row) in double precision, some columns at a time."""
    total = np.zeros((len(scores),) * 2)
    for start in range(0, scores.shape[1], 1024):
        total += compute_gram(scores[:, start : start + 1024])
    return total


def _orthonormalise_columns(columns: Array) -> Array:
    """Orthonormal basis of the columns, in single precision throughout (NumPy's QR would make double copies)."""
    from scipy.linalg import qr

    # Columns near 1, by powers of two: the squares of weak ones, which may be rounding, would underflow.
    exponent = np.frexp(np.abs(columns).max(axis=0))[1]
    columns = columns * np.exp2(-exponent.clip(-120, 120)).astype(np.float32)
    return np.asarray(qr(columns, mode="economic", overwrite_a=True, check_finite=False)[0])
