"""From rows to fits of the compressed data: load, check, compress once, and fit every k from several starts."""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from ...errors import SchemaError
from .arrays import sum_and_check_sign, to_device, to_numpy
from .blocks import InMemoryRows, LazyRows, RowSource, check_block, compress_rows, fill_with_mean
from .hals import Fit, LowRank
from .starts import STOP_TOLERANCE, fit_from_starts, make_starts

_EXTRA_RANK = 12  # rank of the compressed data above the largest k: fits above the true k use noise directions too
_MAX_SQUARE_SUM = 1e33  # single precision ends at 3e38, and products on the way are larger than their result
_MEMORY_SHARE = 0.4  # of the memory that is free: features taking less are loaded


class FeatureRows(NamedTuple):
    """Where the rows of a FEATURES dataset come from, and whether some values are missing."""

    source: RowSource
    missing: bool  # some values are NaN, not measured

    @property
    def filled(self) -> RowSource:
        """The rows with missing values replaced by means, to start from."""
        return fill_with_mean(self.source) if self.missing else self.source


def make_feature_rows(
    features: xr.Dataset, step: str, *, in_memory: bool | None = None, device: object = None
) -> FeatureRows:
    """The features as rows: loaded where they fit, else computed block by block on every pass; checked either way."""
    values = features["feature_value"].transpose("scan_y", "scan_x", "feature")
    missing = bool(features.attrs.get("missing", 0))
    lazy = values.chunks is not None
    if in_memory is None:
        in_memory = not lazy or 4 * values.size < _MEMORY_SHARE * _measure_free_memory()
    if lazy and not in_memory:
        return FeatureRows(LazyRows(values, step, missing), missing)
    data = np.asarray(values.data, dtype=np.float32).reshape(-1, values.sizes["feature"])
    data = np.ascontiguousarray(data)
    total, negative = sum_and_check_sign(data)
    check_block(float(np.fmin.reduce(data, axis=None)) if negative else 0.0, total, step, missing=missing)
    return FeatureRows(InMemoryRows(to_device(data, device)), missing)


def check_rank(k: object, shape: tuple[int, ...], step: str) -> None:
    """Refuse a k that no factorisation of this shape has."""
    limit = min(shape)
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= limit:
        raise SchemaError(
            f"{step}: k = {k!r}, needs a whole number from 1 to {limit} ({shape[0]} scan points, {shape[1]} features)."
        )


def check_numerical_rank(low: LowRank, k: int, step: str) -> None:
    """Refuse zeros, and a k above the rank of the data."""
    # Columns of ``left`` are scaled by the singular values, so that their norms are these.
    strength = np.linalg.norm(low.left, axis=0)
    if not low.norm2 < _MAX_SQUARE_SUM or not np.isfinite(strength).all():
        raise SchemaError(
            f"{step}: the features are so large (sum of squares {low.norm2:.2g}) that single precision cannot hold the "
            "products. Divide the patterns by their mean: patterns.assign(intensity=patterns.intensity / mean)."
        )
    if not strength[0] > 0:
        raise SchemaError(f"{step}: every feature is zero. Check that the right dataset of the file was opened.")
    rank = int((strength > 1e-5 * strength[0]).sum())
    if k > rank:
        raise SchemaError(
            f"{step}: k = {k}, but the data have rank {rank}: further components would be empty. Choose k <= {rank}."
        )


def compress_for_ranks(source: RowSource, largest: int, rng: np.random.Generator, n_passes: int = 4) -> LowRank:
    """The compressed data that serve every k up to ``largest``."""
    return compress_rows(source, largest + _EXTRA_RANK, rng, n_passes)


def fit_multistart(
    low: LowRank,
    ranks: Iterable[int],
    n_starts: int,
    rng: np.random.Generator,
    *,
    n_finish: int = 2,
    n_kept: int | None = None,
    stop_tolerance: float = STOP_TOLERANCE,
    device: object = None,
) -> Iterator[list[Fit]]:
    """Fits from every start on the compressed data, best first, k by k; one start grows from the k before.

    ``n_kept`` limits how many of each k are held.
    """
    before: Fit | None = None
    # Starts are made on the processor, so that the same seed gives the same starts on every device.
    for k in ranks:
        # As many directions as the compressed data of this k alone would have.
        own = low.truncate(k + _EXTRA_RANK)
        starts = make_starts(own, k, n_starts, before, rng)
        found = fit_from_starts(
            own if device is None else LowRank(to_device(own.left, device), to_device(own.right, device), own.norm2),
            ((to_device(a, device), to_device(b, device)) for a, b in starts),
            n_finish=n_finish,
            n_kept=n_kept,
            stop_tolerance=stop_tolerance,
        )
        fits = [move_to_host(fit) for fit in found]
        before = fits[0]
        yield fits
        del found, fits  # before the next ones are made


def move_to_device(fit: Fit, device: object) -> Fit:
    """The fit with its arrays on a device."""
    return fit._replace(loading=to_device(fit.loading, device), factor=to_device(fit.factor, device))


def move_to_host(fit: Fit) -> Fit:
    """The fit with its arrays as NumPy's."""
    return fit._replace(loading=to_numpy(fit.loading), factor=to_numpy(fit.factor))


def _measure_free_memory() -> float:
    """Bytes of physical memory that are free; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
