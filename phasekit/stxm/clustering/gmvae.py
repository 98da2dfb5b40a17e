"""Spectra without labels: fit of the Gaussian-mixture variational autoencoder to the material pixels of a stack."""

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
    """A trained network, as plain arrays: nothing in it needs torch until it is used.

    Attributes
    ----------
    energy
        Energies it was trained at [eV].
    parameters
        Arrays of the network by name.
    scale
        OD that counts as 1 inside the network (the field's typical edge).
    stray_light
        Fraction of the incident light that was found to have never crossed the sample, and is taken off before
        anything else: with it the spectra are most nearly a few shapes of any thickness.
    n_clusters, n_latent, n_hidden
        Its size.
    n_alive
        Clusters that hold at least 0.5 % of the training pixels.
    share
        Share of the training pixels in each cluster.
    history
        Terms of the evidence bound per pixel by training step: ``reconstruction``, ``kl_latent``, ``kl_cluster``, and
        the bound on the ``held_out`` pixels where it was looked at (NaN elsewhere).
    settings
        How it was trained.
    others
        With ``n_runs`` above 1 the other runs, of other seeds; this one agrees best with all of them.
    agreement
        Adjusted Rand index (run, run) between the labels of the training pixels, this run first: 1 for equal
        clusterings, 0 for unrelated ones.
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
    """Train a Gaussian-mixture variational autoencoder on the spectra of the material pixels.

    The likelihood is Gaussian with the measured noise; each pixel's thickness and a constant are integrated out
    exactly and stray light is found from the data, so clusters are shapes of spectra, not thicknesses; the sum over
    clusters is exact. It starts from principal components of the normalised spectra and a Gaussian mixture on their
    scores, with the KL terms warmed up and ``free_bits`` on the cluster term, the known remedies against collapse.

    Parameters
    ----------
    od
        OD; pixels that are ``valid`` and, where the variable exists, not ``empty`` are used.
    n_clusters
        More than the phases expected (twice is good): several clusters may carry one name, dead ones do no harm.
    n_latent
        Dimensions of the latent space: 3 spans mixtures of 4 phases. At most energies - 2.
    n_runs
        Trainings from the seeds ``seed``, ``seed + 1``, ...: their agreement says how much of the clustering is in the
        data, and :func:`phasekit.stxm.assign_clusters` makes a consensus of them.
    seed
        Same seed, same result on the same machine.
    device
        "auto" takes a GPU when there is one, else "cpu"; any torch device name.
    progress
        Show a progress bar.
    training
        Length and rates of the training; None: ``Training()``.

    Returns
    -------
    FittedGMVAE
        Give it to :func:`phasekit.stxm.assign_clusters`.

    Raises
    ------
    SchemaError
        Fewer than 10 material pixels per cluster, or fewer than 4 energies.
    ConvergenceError
        The bound is no longer finite.

    References
    ----------
    Dilokthanakul et al., arXiv:1611.02648 (the model); Johnson et al., arXiv:1603.06277 (the encoder as a message);
    Kingma et al., arXiv:1606.04934 (free bits).

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

    require(od, OD, step="fit_gmvae")
    training = training or Training()
    n_energies = od.sizes["energy"]
    if n_energies < 4:
        raise SchemaError(f"fit_gmvae: {n_energies} energies, needs at least 4. Use fit_references for fewer.")
    n_latent = min(n_latent, n_energies - 2)
    spectra, noise = read_material_spectra(od, training.max_pixels, seed)
    if n_clusters < 1 or len(spectra) < 10 * n_clusters:
        raise SchemaError(
            f"fit_gmvae: {len(spectra)} material pixels for n_clusters={n_clusters}, needs 10 per cluster. "
            "Lower n_clusters, or see od['valid'] and od['empty'] for why so few pixels count."
        )
    settings = [asdict(training) | {"seed": seed + index} for index in range(max(n_runs, 1))]
    stray = estimate_stray_fraction(*compute_block_means(od, find_material(od)), n_latent)
    spectra, noise = correct_stray_light(spectra, noise, stray)
    starts = [fit_initial_model(spectra, noise, n_clusters, n_latent, one["seed"]) for one in settings]
    energy = od["energy"].values.astype(np.float64) if "energy" in od.coords else np.arange(float(n_energies))
    with tqdm(total=training.n_steps * len(settings), desc="fit_gmvae", disable=not progress) as bar:
        runs = _train_runs(_TrainingInput(energy, spectra, noise, stray, device, bar), starts, settings)
    return _select_most_agreeing(runs, spectra, noise) if len(runs) > 1 else runs[0]


class _TrainingInput(NamedTuple):
    """What all runs share; spectra and noise without stray light."""

    energy: NDArray[np.float64]
    spectra: Array
    noise: Array
    stray_light: float
    device: str
    bar: Any


def _train_runs(job: _TrainingInput, starts: list[InitialModel], settings: list[dict[str, Any]]) -> list[FittedGMVAE]:
    """One training per start, two at a time: torch runs outside Python's lock, on one thread each."""
    with use_one_torch_thread(), ThreadPoolExecutor(_PARALLEL_RUNS) as pool:
        return list(pool.map(lambda start, one: _train_one_run(job, start, one), starts, settings))


def _train_one_run(job: _TrainingInput, start: InitialModel, settings: dict[str, Any]) -> FittedGMVAE:
    scaled = (job.spectra / start.scale, job.noise / start.scale)
    parameters, history = train_network(*scaled, start, settings, job.device, job.bar)
    n_clusters, n_latent = start.mean.shape
    size = (n_clusters, n_latent, settings["n_hidden"])
    share, numbers = np.zeros(n_clusters), (start.scale, job.stray_light)
    fitted = FittedGMVAE(job.energy, parameters, *numbers, *size, 0, share, history, settings)
    share = _infer_responsibility(fitted, job.spectra, job.noise).mean(axis=0)
    return replace(fitted, n_alive=int((share >= 0.005).sum()), share=share)


def _select_most_agreeing(runs: list[FittedGMVAE], spectra: Array, noise: Array) -> FittedGMVAE:
    """The run that agrees best with the others, with these and the table of agreements."""
    from sklearn.metrics import adjusted_rand_score

    some = slice(None, None, max(len(spectra) // 10_000, 1))
    labels = [_infer_responsibility(run, spectra[some], noise[some]).argmax(axis=1) for run in runs]
    table = np.array([[adjusted_rand_score(one, other) for other in labels] for one in labels])
    order = np.argsort(-table.sum(axis=1), kind="stable")
    others = tuple(runs[index] for index in order[1:])
    return replace(runs[order[0]], others=others, agreement=table[np.ix_(order, order)])


def compute_responsibility(fitted: FittedGMVAE, spectra: Array, noise: Array) -> Array:
    """q(y|x) of measured spectra (n, energy)."""
    return _infer_responsibility(fitted, *correct_stray_light(spectra, noise, fitted.stray_light))


def _infer_responsibility(fitted: FittedGMVAE, spectra: Array, noise: Array) -> Array:
    """The same of spectra without stray light, in slices of 65536 pixels."""
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
            log_q = network.compute_posterior(x, sigma).log_cluster.double()
            out[part] = torch.softmax(log_q, dim=-1).numpy()
    return out
