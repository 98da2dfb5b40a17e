"""The fit of the Gaussian-mixture variational autoencoder to the material pixels of a stack."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import OD, require
from ..preprocessing.material import find_material, read_material_spectra
from ..preprocessing.stray_light import correct_stray_light
from ..reference_spectra.library import compute_block_means
from .initialisation import InitialModel, estimate_stray_fraction, fit_initial_model
from .training import Training, make_network, train_network, use_one_torch_thread

Array = NDArray[np.floating]
_PARALLEL_RUNS = 2  # trainings


@dataclass(frozen=True)
class FittedGMVAE:
    """A trained network as plain arrays; torch is needed only when it is used.

    Attributes
    ----------
    energy
        Energies of the training [eV].
    parameters
        Arrays of the network by name.
    scale
        OD that counts as 1 inside the network, the typical edge of the field.
    stray_light
        Fraction of the incident light that never crossed the sample, as estimated from the data.
        It is subtracted before anything else. With it the spectra are most nearly a few shapes of any thickness.
    n_clusters, n_latent, n_hidden
        Size of the network.
    n_alive
        Number of clusters that hold at least 0.5 % of the training pixels.
    share
        Fraction of the training pixels in each cluster.
    history
        Terms of the evidence bound per pixel by training step: ``reconstruction``, ``kl_latent``, ``kl_cluster``.
        ``held_out`` is the bound on the held-out pixels where it was computed, and NaN elsewhere.
    settings
        Settings of the training.
    others
        The other runs, of other seeds, when ``n_runs`` is above 1. This run agrees best with all of them.
    agreement
        Adjusted Rand index (run, run) between the labels of the training pixels, this run first.
        It is 1 for equal clusterings and 0 for unrelated ones.

    See Also
    --------
    fit_gmvae : Makes it.
    assign_clusters : Applies it to a field.
    """

    energy: NDArray[np.float64]
    parameters: Mapping[str, Array]
    scale: float
    stray_light: float
    n_clusters: int
    n_latent: int
    n_hidden: int
    n_alive: int
    share: NDArray[np.float64]
    history: xr.Dataset
    settings: Mapping[str, Any]
    others: tuple["FittedGMVAE", ...] = ()
    agreement: NDArray[np.float64] = field(default_factory=lambda: np.ones((1, 1)))

    def __repr__(self) -> str:
        bound = float(self.history["reconstruction"].isel(step=slice(-20, None)).mean())
        runs = ""
        if self.others:
            apart = self.agreement[np.triu_indices(len(self.agreement), 1)]
            runs = f", {len(self.agreement)} runs with an agreement of {apart.mean():.2f}"
        return (
            f"FittedGMVAE({self.energy.size} energies, {self.n_alive} of {self.n_clusters} clusters alive, "
            f"{self.n_latent} latent dimensions, stray light {self.stray_light:.3f}, "
            f"reconstruction {bound:.1f} nat per pixel{runs})"
        )


def fit_gmvae(
    od: xr.Dataset,
    *,
    n_clusters: int = 8,
    n_latent: int = 3,
    n_runs: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    training: Training | None = None,
) -> FittedGMVAE:
    r"""Fit a Gaussian-mixture variational autoencoder to the spectra of the material pixels.

    The likelihood is Gaussian with the measured noise. Thickness and a constant are integrated out of every pixel
    exactly, and stray light is estimated from the data. Clusters are therefore shapes of spectra, not thicknesses.
    The sum over clusters is exact. Training starts from principal components of the normalised spectra and a
    Gaussian mixture of their scores. Warm-up of the KL terms and ``free_bits`` on the cluster term prevent the
    collapse of clusters.

    Parameters
    ----------
    od
        OD. Pixels that are ``valid`` and, where the variable exists, not ``empty`` are used.
    n_clusters
        Number of clusters. Take more than the phases expected; twice as many is good.
        Several clusters may get the same name, and unused clusters do not change the result.
    n_latent
        Dimensions of the latent space. 3 spans mixtures of 4 phases. At most energies - 2.
    n_runs
        Number of trainings, from the seeds ``seed``, ``seed + 1``, ... Their agreement shows how much of the
        clustering is in the data. :func:`phasekit.stxm.assign_clusters` makes a consensus of them.
    seed
        Same seed, same result on the same machine.
    device
        "auto" takes a GPU when there is one, else "cpu". Any torch device name is allowed.
    progress
        Show a progress bar.
    training
        Length and rates of the training. None takes ``Training()``.

    Returns
    -------
    FittedGMVAE
        Input of :func:`phasekit.stxm.assign_clusters`.

    Raises
    ------
    SchemaError
        Fewer than 10 material pixels per cluster, or fewer than 4 energies.
    ConvergenceError
        The bound is no longer finite.

    See Also
    --------
    optical_density : The step before.
    assign_clusters : The next step: cluster probabilities of every pixel.
    Training : Settings of the training.
    cluster_kmeans : A simple method for comparison.

    Notes
    -----
    A pixel belongs to cluster y with probability p(y). Its latent z is drawn from the cluster's
    Gaussian. The decoder turns it into the shape s(z) of a spectrum. With thickness t and constant b the spectrum is

    .. math:: x = t \, s(z) + b + \epsilon, \quad \epsilon \sim N(0, \mathrm{diag}(\sigma^2)).

    Training maximises the evidence lower bound (Dilokthanakul et al.)

    .. math:: \mathcal{L} = \sum_y q(y|x) \, E_{q(z|x,y)}[\ln p(x|z)]
        - \sum_y q(y|x) \, \mathrm{KL}[q(z|x,y) \,\|\, p(z|y)] - \mathrm{KL}[q(y|x) \,\|\, p(y)].

    The encoder gives a Gaussian message that is multiplied with each cluster's prior (Johnson et al.). The last term
    costs nothing below ``free_bits`` (free bits, Kingma et al.).

    References
    ----------
    Dilokthanakul et al., arXiv:1611.02648; Johnson et al., arXiv:1603.06277; Kingma et al., arXiv:1606.04934.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shapes = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])[np.arange(400) % 2]
    >>> cube = 0.3 * shapes.T.reshape(6, 20, 20) + rng.normal(0, 0.03, (6, 20, 20))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((20, 20), bool))},
    ...                 coords={"energy": ("energy", np.arange(514.0, 520.0), {"units": "eV"})})
    >>> fit_gmvae(od, n_clusters=2, n_latent=1, training=Training(n_steps=20), progress=False).n_alive
    2
    """
    from tqdm.auto import tqdm

    require(od, OD, step="fit_gmvae", argument="od")
    training = training or Training()
    n_energies = od.sizes["energy"]
    if n_energies < 4:
        raise SchemaError(f"fit_gmvae: {n_energies} energies, needs at least 4. Use fit_references for fewer.")
    # Constant and thickness take two of the energies.
    n_latent = min(n_latent, n_energies - 2)
    spectra, noise = read_material_spectra(od, training.max_pixels, seed)
    if n_clusters < 1 or len(spectra) < 10 * n_clusters:
        raise SchemaError(
            f"fit_gmvae: {len(spectra)} material pixels for n_clusters={n_clusters}, needs 10 per cluster. "
            "Lower n_clusters, or see od['valid'] and od['empty'] for why so few pixels count."
        )
    settings = [asdict(training) | {"seed": seed + index} for index in range(max(n_runs, 1))]
    # Means of blocks and not pixels: the correction is not linear, so noise would bias the fraction.
    means, errors = compute_block_means(od, find_material(od))
    complete = np.isfinite(errors).all(axis=1)
    stray = estimate_stray_fraction(means[complete], errors[complete], n_latent)
    spectra, noise = correct_stray_light(spectra, noise, stray)
    # All initial models see the same pixels; only the seeds of their mixtures differ.
    starts = [fit_initial_model(spectra, noise, n_clusters, n_latent, one["seed"]) for one in settings]
    energy = od["energy"].values.astype(np.float64) if "energy" in od.coords else np.arange(float(n_energies))
    with tqdm(total=training.n_steps * len(settings), desc="fit_gmvae", disable=not progress) as bar:
        runs = _train_runs(_TrainingInput(energy, spectra, noise, stray, device, bar), starts, settings)
    return _select_most_agreeing(runs, spectra, noise) if len(runs) > 1 else runs[0]


class _TrainingInput(NamedTuple):
    """Input of all runs; spectra and noise (pixel, energy) are corrected for stray light."""

    energy: NDArray[np.float64]
    spectra: Array
    noise: Array
    stray_light: float
    device: str
    bar: Any


def _train_runs(job: _TrainingInput, starts: list[InitialModel], settings: list[dict[str, Any]]) -> list[FittedGMVAE]:
    """Train one run per initial model, two at a time."""
    # Threads suffice, since torch releases the interpreter's lock; each run uses one torch thread.
    with use_one_torch_thread(), ThreadPoolExecutor(_PARALLEL_RUNS) as pool:
        return list(pool.map(lambda start, one: _train_one_run(job, start, one), starts, settings))


def _train_one_run(job: _TrainingInput, start: InitialModel, settings: dict[str, Any]) -> FittedGMVAE:
    """Train one run and find the share of the pixels in each cluster."""
    # Values near 1 suit single precision and the rates of Adam.
    scaled = (job.spectra / start.scale, job.noise / start.scale)
    parameters, history = train_network(*scaled, start, settings, job.device, job.bar)
    n_clusters, n_latent = start.mean.shape
    size = (n_clusters, n_latent, settings["n_hidden"])
    share, numbers = np.zeros(n_clusters), (start.scale, job.stray_light)
    fitted = FittedGMVAE(job.energy, parameters, *numbers, *size, 0, share, history, settings)
    # The shares follow from the trained network, so it is built first without them.
    share = _infer_responsibility(fitted, job.spectra, job.noise).mean(axis=0)
    return replace(fitted, n_alive=int((share >= 0.005).sum()), share=share)


def _select_most_agreeing(runs: list[FittedGMVAE], spectra: Array, noise: Array) -> FittedGMVAE:
    """Select the run that agrees best with the others, and attach these and the table of agreements."""
    from sklearn.metrics import adjusted_rand_score

    # About 10 000 pixels are enough for an index between 0 and 1.
    some = slice(None, None, max(len(spectra) // 10_000, 1))
    labels = [_infer_responsibility(run, spectra[some], noise[some]).argmax(axis=1) for run in runs]
    table = np.array([[adjusted_rand_score(one, other) for other in labels] for one in labels])
    order = np.argsort(-table.sum(axis=1), kind="stable")
    # The most typical run stands for all; the others serve the consensus.
    others = tuple(runs[index] for index in order[1:])
    return replace(runs[order[0]], others=others, agreement=table[np.ix_(order, order)])


def compute_responsibility(fitted: FittedGMVAE, spectra: Array, noise: Array) -> Array:
    """Compute q(y|x) of measured spectra (n, energy); returns (n, cluster)."""
    return _infer_responsibility(fitted, *correct_stray_light(spectra, noise, fitted.stray_light))


def _infer_responsibility(fitted: FittedGMVAE, spectra: Array, noise: Array) -> Array:
    """Compute q(y|x) of spectra that are corrected for stray light, in slices of 65536 pixels."""
    import torch

    network = make_network(fitted.energy.size, fitted.n_latent, fitted.n_clusters, fitted.n_hidden)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in fitted.parameters.items()})
    out = np.empty((len(spectra), fitted.n_clusters))
    with torch.no_grad(), use_one_torch_thread():
        for first in range(0, len(spectra), 65536):
            part = slice(first, first + 65536)
            x, sigma = (
                torch.as_tensor(values[part] / fitted.scale, dtype=torch.float32) for values in (spectra, noise)
            )
            # Normalised in double precision, so that the probabilities sum to 1 within rounding.
            log_q = network.compute_posterior(x, sigma).log_cluster.double()
            out[part] = torch.softmax(log_q, dim=-1).numpy()
    return out
