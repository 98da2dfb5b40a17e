"""Cross-validation: fits to parts of the data, scored on the rest."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.blocks import RowSource
from ..fitting.hals import Array, Fit, LowRank
from ..fitting.labels import read_scan_weight
from ..fitting.multistart import compress_for_ranks, fit_multistart
from ..image_metrics import Reference
from .coarse import make_coarse_scans
from .electrons import CrossCovariance, compute_cross_covariance
from .held_out import FitScores, HeldOutScores, bi_cross_validation_splits, score_counts, score_split, select_groups
from .similarity import Stability, compute_redundancy
from .thinning import ThinnedCounts

_STOP_TOLERANCE = 1e-5  # of the error per iteration: differences between k are far larger than what is left
_GROUP_ROWS = 40  # components of the fits that are scored together
_FOLD_STARTS = 3  # per k and fold: from the singular vectors, from the k before, from random patterns


class RunSummary(NamedTuple):
    """Curves of one run, (rank,)."""

    error: NDArray[np.float64]
    deviance: NDArray[np.float64]
    gain: NDArray[np.float64]  # of every rank but the first


class CrossValidation:
    """Fits of every k on parts of the data, scored on the rest."""

    def __init__(
        self,
        source: RowSource,
        features: xr.Dataset,
        tried: list[int],
        metrics: tuple[str, ...],
        tick: Callable[[], object],
        largest_count: float,
    ) -> None:
        self.source, self.features, self.tried, self.metrics, self.tick = source, features, tried, metrics, tick
        self.image_quality = {name: np.zeros(len(tried)) for name in metrics}  # by rank, mean over runs
        # One for each fold of the electrons, of the scan as it is and of its sums of every size.
        self.cross_covariances: list[CrossCovariance] = []
        self.coarse = make_coarse_scans(source, features, max(tried), largest_count)
        self.coarse_covariances: list[list[CrossCovariance]] = [[] for _ in self.coarse]
        self.stability = Stability(len(tried))
        self.redundancy = np.zeros(len(tried))  # sum over runs

    def score_held_out_counts(self, n_runs: int, seed: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Hold out one fold of the electrons in every run."""
        weights = read_scan_weight(self.features), self.features["feature_weight"].to_numpy().astype(np.float32)
        thinned = ThinnedCounts(self.source, *weights, seed, max(3, int(np.ceil(np.log2(n_runs)))))
        # The same groups in every run, so that image quality is compared on the same patterns.
        groups = select_groups(self.source.shape[0], rng)
        return self._make_table([self._score_fold(thinned, run, groups, n_runs, rng) for run in range(n_runs)])

    def _score_fold(
        self, thinned: ThinnedCounts, fold: int, groups: NDArray[np.integer], n_runs: int, rng: np.random.Generator
    ) -> RunSummary:
        """Fit the electrons of all folds but one, and score the fits on that one.

        What one run needs is freed before the next.
        """
        train, test = thinned.split(fold)
        low = compress_for_ranks(train, max(self.tried), rng)
        self.cross_covariances.append(
            compute_cross_covariance(low, test, (thinned.scan_weight, thinned.feature_weight))
        )
        for coarse, found in zip(self.coarse, self.coarse_covariances, strict=True):
            found.append(coarse.compare(test, max(self.tried), rng))
        scored = list[FitScores]()
        # Some k at a time where a pass over the fold costs little, so that few fits are held.
        for some in _group_fits(self._fit_part(low, rng), sum(self.tried) if test.is_costly else _GROUP_ROWS):
            self._compare_components(some, len(scored))
            scored += self._score_images(score_counts(test, some, groups), len(scored), n_runs)
            some.clear()  # before the next ones are made
        return _summarise_run(scored)

    def score_held_out_quarters(self, n_runs: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Hold out a quarter of the matrix in every run."""
        runs = []
        for quarter in bi_cross_validation_splits(self.source.shape, n_runs, rng):
            low = compress_for_ranks(quarter.read_training_rows(self.source), max(self.tried), rng)
            fits = list(self._fit_part(low, rng))
            held_out, whole = score_split(self.source, quarter, fits)
            runs.append(_summarise_run(self._score_images(held_out, 0, n_runs)))
            self._compare_components(whole, 0)
        return self._make_table(runs)

    def _fit_part(self, low: LowRank, rng: np.random.Generator) -> Iterator[Fit]:
        """Best fit of every k on one part of the data, compressed."""
        found = fit_multistart(low, self.tried, _FOLD_STARTS, rng, n_finish=1, n_kept=1, stop_tolerance=_STOP_TOLERANCE)
        for fits in found:
            self.tick()
            yield fits[0]

    def _compare_components(self, fits: list[Fit], first: int) -> None:
        """Compare the components of some fits of one run with each other and with those of the runs before.

        ``first`` is the place of the first of them among the ranks.
        """
        for place, fit in enumerate(fits, first):
            self.redundancy[place] += compute_redundancy(fit.factor)
            self.stability.add(place, fit.factor)

    def _make_table(self, runs: list[RunSummary]) -> dict[str, NDArray[np.float64]]:
        """Every curve by rank, or by rank and run."""
        table = {
            "held_out_error": np.stack([run.error for run in runs], axis=1),
            "deviance": np.stack([run.deviance for run in runs], axis=1),
            # Runs are averaged, not summed, because they share most of what they were trained on.
            "gain": np.append(np.nan, np.mean([run.gain for run in runs], axis=0)),
            "stability": self.stability.compute_means(),
            "redundancy": self.redundancy / len(runs),
        }
        return table | self.image_quality

    def _score_images(self, held_out: HeldOutScores, first: int, n_runs: int) -> list[FitScores]:
        """Add the image quality of some fits of one run to the mean over runs, and drop their images.

        ``first`` is the place of the first of them among the ranks. Predicted and held-out patterns are compared as
        square roots, where counting noise is even.
        """
        if self.metrics:
            images = self._draw_on_detector(held_out.reference)
            reference = Reference(images, data_range=float(images.max()) or 1.0)
            # One reference serves several k: what it keeps is computed once.
            for place, fit in enumerate(held_out.fits, first):
                found = reference.scores(self._draw_on_detector(fit.model[0] @ fit.model[1]), self.metrics)
                for name in self.metrics:
                    self.image_quality[name][place] += float(np.mean(found[name])) / n_runs
        none = np.empty((0, 0), np.float32)
        return [fit._replace(model=(none, none)) for fit in held_out.fits]

    def _draw_on_detector(self, rows: Array) -> Array:
        """Features laid out on the detector as square roots of counts per pixel; masked pixels 0."""
        index = self.features["feature_index"].to_numpy()
        scale = np.sqrt(self.features["feature_weight"].to_numpy() / self.features["feature_pixels"].to_numpy())
        roots = np.maximum(rows, 0)
        np.sqrt(roots, out=roots)
        roots *= scale.astype(np.float32)
        images = roots[:, index]
        images[:, index < 0] = 0
        return images


def _group_fits(fits: Iterable[Fit], n_rows: int) -> Iterator[list[Fit]]:
    """Lists of fits that together have at least so many components, the last one what is left."""
    group: list[Fit] = []
    for fit in fits:
        group.append(fit)
        if sum(len(each.factor) for each in group) >= n_rows:
            yield group
            group = []
    if group:
        yield group


def _summarise_run(scored: list[FitScores]) -> RunSummary:
    """The curves of one run, without the errors of single scan points."""
    error, deviance = np.array([[fit.error, fit.deviance] for fit in scored]).T
    return RunSummary(error, deviance, _compute_gains([fit.by_point for fit in scored]))


def _compute_gains(errors: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    r"""Standard errors by which each k predicts better than the one before, paired over the held-out scan points.

    .. math::

        g_k = \frac{\langle e_{k-1,i} - e_{k,i} \rangle_i}{\mathrm{std}_i(e_{k-1,i} - e_{k,i}) / \sqrt{n}}
    """
    # Paired differences: how hard a scan point is to predict is the same for both k and cancels.
    better = -np.diff(np.array(errors), axis=0)
    spread = better.std(axis=1) / np.sqrt(better.shape[1])
    # No spread is known better than the errors whose differences it is taken from.
    least = np.finfo(np.float64).eps * np.max(errors) + np.finfo(np.float64).tiny
    return np.asarray(better.mean(axis=1) / np.maximum(spread, least))
