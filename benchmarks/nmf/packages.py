"""One way of calling every package: ``prepare`` outside the clock, ``run`` inside it, ``unpack`` outside again.

Each ``prepare`` takes the data, k, the number of iterations and a seed. Iterations None: the package's own default,
with its own test of convergence. A number: exactly so many iterations, with the test switched off.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .common import Data


class Fitted(NamedTuple):
    """Loadings (scan point, k) and factors (k, feature) in the scale of the features; iterations done."""

    loading: NDArray[np.floating]
    factor: NDArray[np.floating]
    iterations: int


class Task(NamedTuple):
    """What is timed, and how its answer becomes a :class:`Fitted`."""

    run: Callable[[], Any]
    unpack: Callable[[Any], Fitted]


Prepare = Callable[[Data, int, int | None, int], Task]


class Package(NamedTuple):
    """Name in the report, distribution whose version counts, environment (None: the project's own)."""

    title: str
    distribution: str
    environment: str | None
    prepare: Prepare


def _phasekit(data: Data, k: int, iterations: int | None, seed: int) -> Task:
    import phasekit as pk
    from phasekit.errors import ConvergenceError

    features = data.features()
    fixed: dict[str, Any] = {} if iterations is None else {"n_starts": 1, "max_iterations": iterations}
    if fixed:
        fixed["tolerance"] = 1e-14

    def run() -> Any:
        try:
            return pk.nmf.factorise(features, k, seed=seed, **fixed)
        except ConvergenceError as stopped:  # so many iterations were wanted
            return stopped.partial

    return Task(run, lambda factors: in_feature_scale(factors, features))


def in_feature_scale(factors: Any, features: Any) -> Fitted:
    """FACTORS hold counts on the detector; back to the scale in which all packages fit."""
    k = factors.sizes["component"]
    loading = factors["loading"].to_numpy().reshape(k, -1) / features["scan_weight"].to_numpy().reshape(1, -1)
    pixels = factors["factor"].to_numpy().reshape(k, -1)  # one pixel a feature, in the same order: no mask, no bins
    return Fitted(loading.T, pixels / features["feature_weight"].to_numpy(), int(factors.attrs["iterations"]))


def _sklearn(**how: Any) -> Prepare:
    def prepare(data: Data, k: int, iterations: int | None, seed: int) -> Task:
        from sklearn.decomposition import NMF

        fixed = {} if iterations is None else {"max_iter": iterations, "tol": 0.0}
        return _make_task(NMF(n_components=k, random_state=seed, **how, **fixed), data)

    return prepare


def _minibatch(data: Data, k: int, iterations: int | None, seed: int) -> Task:
    from sklearn.decomposition import MiniBatchNMF

    fixed: dict[str, Any] = {} if iterations is None else {"max_iter": iterations, "tol": 0.0}
    if fixed:
        fixed["max_no_improvement"] = None
    return _make_task(MiniBatchNMF(n_components=k, random_state=seed, **fixed), data)


def _make_task(model: Any, data: Data) -> Task:
    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge: so many iterations were wanted
            return model.fit_transform(data.values)

    return Task(run, lambda loading: Fitted(loading, model.components_, int(model.n_iter_)))


def _hyperspy(data: Data, k: int, iterations: int | None, seed: int) -> Task:
    import hyperspy.api as hs

    shape = (data.side, data.side, data.detector, data.detector)
    signal = hs.signals.Signal2D(data.values.reshape(shape))
    fixed = {} if iterations is None else {"max_iter": iterations, "tol": 0.0}

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            how = {"output_dimension": k, "print_info": False, "return_info": True, "random_state": seed, **fixed}
            return signal.decomposition(algorithm="NMF", **how)

    def unpack(model: Any) -> Fitted:
        learned = signal.learning_results
        return Fitted(learned.loadings, learned.factors.T, int(model.n_iter_))

    return Task(run, unpack)


def _torchnmf(data: Data, k: int, iterations: int | None, seed: int) -> Task:
    import torch
    from torchnmf.nmf import NMF

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    values = torch.from_numpy(data.values)
    model = NMF(tuple(values.shape), rank=k)
    fixed = {} if iterations is None else {"max_iter": iterations, "tol": -np.inf}

    def unpack(done: int) -> Fitted:
        loading, factor = model.H.detach().numpy(), model.W.detach().numpy().T
        return Fitted(loading, factor, done)

    return Task(lambda: int(model.fit(values, beta=2, **fixed)), unpack)


PACKAGES = {
    "phasekit": Package("phasekit", "phasekit", None, _phasekit),
    "sklearn-cd": Package("scikit-learn, coordinate descent", "scikit-learn", None, _sklearn(init="nndsvda")),
    "sklearn-cd-random": Package(
        "scikit-learn, coordinate descent, random start", "scikit-learn", None, _sklearn(init="random")
    ),
    "sklearn-mu": Package(
        "scikit-learn, multiplicative updates", "scikit-learn", None, _sklearn(init="nndsvda", solver="mu")
    ),
    "sklearn-minibatch": Package("scikit-learn, MiniBatchNMF", "scikit-learn", None, _minibatch),
    "hyperspy": Package("HyperSpy", "hyperspy", "hyperspy", _hyperspy),
    "torchnmf": Package("torchnmf", "torchnmf", "torchnmf", _torchnmf),
}
#: The one whose error, where it stops by itself, the others are asked to reach.
REFERENCE = "sklearn-cd"
