"""Spectra without labels: fit of the Gaussian-mixture variational autoencoder to the material pixels of a stack."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ConvergenceError, SchemaError
from ..schema import OD, require
from .starts import _Start, _start

Array = NDArray[np.floating]
_WARM_UP = 0.4  # share of the training during which the KL terms grow to their full weight


@dataclass(frozen=True)
class Training:
    """How to train; the defaults suit stacks of 4 to 200 energies.

    Attributes
    ----------
    n_steps, batch, learning_rate
        Steps of ``batch`` random pixels each, and Adam's rate, which falls to 0 along a cosine.
    n_hidden
        Width of the two residual nets.
    free_bits
        KL [nat] of the cluster term that costs nothing, on average over a batch: 0.5 keeps two clusters from merging.
    max_pixels
        At most this many random pixels are read into memory.
    """

    n_steps: int = 400
    batch: int = 1024
    learning_rate: float = 3e-3
    n_hidden: int = 32
    free_bits: float = 0.5
    max_pixels: int = 30_000


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
        OD that counts as 1 inside the network (the field's typical edge), so that float32 is at its best.
    n_clusters, n_latent, n_hidden
        Its size.
    n_alive
        Clusters that hold at least 0.5 % of the training pixels.
    share
        Share of the training pixels in each cluster.
    history
        Terms of the evidence bound per pixel by training step: ``reconstruction``, ``kl_latent``, ``kl_cluster``.
    settings
        How it was trained.
    """

    energy: NDArray[np.float64]
    parameters: Mapping[str, Array]
    scale: float
    n_clusters: int
    n_latent: int
    n_hidden: int
    n_alive: int
    share: NDArray[np.float64]
    history: xr.Dataset
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        bound = float(self.history.isel(step=slice(-20, None)).to_array().sel(variable="reconstruction").mean())
        return (
            f"FittedGMVAE({self.energy.size} energies, {self.n_alive} of {self.n_clusters} clusters alive, "
            f"{self.n_latent} latent dimensions, reconstruction {bound:.1f} nat per pixel)"
        )


def fit_gmvae(
    od: xr.Dataset,
    *,
    n_clusters: int = 8,
    n_latent: int = 3,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    training: Training | None = None,
) -> FittedGMVAE:
    """Train a Gaussian-mixture variational autoencoder on the spectra of the material pixels.

    The likelihood is Gaussian with the measured noise; each pixel's thickness and a constant are integrated out
    exactly, so clusters are shapes of spectra, not thicknesses; the sum over clusters is exact. It starts from
    principal components of the normalised spectra and a Gaussian mixture on their scores, with the KL terms warmed up
    and ``free_bits`` on the cluster term, the known remedies against collapse.

    Parameters
    ----------
    od
        OD; pixels that are ``valid`` and, where the variable exists, not ``empty`` are used.
    n_clusters
        More than the phases expected (twice is good): several clusters may carry one name, dead ones do no harm.
    n_latent
        Dimensions of the latent space: 3 spans mixtures of 4 phases. At most energies - 2.
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
    require(od, OD, step="fit_gmvae")
    training = training or Training()
    n_energies = od.sizes["energy"]
    if n_energies < 4:
        raise SchemaError(f"fit_gmvae: {n_energies} energies, needs at least 4. Use fit_references for fewer.")
    n_latent = min(n_latent, n_energies - 2)
    spectra, noise = _material_spectra(od, training.max_pixels, seed)
    if n_clusters < 1 or len(spectra) < 10 * n_clusters:
        raise SchemaError(
            f"fit_gmvae: {len(spectra)} material pixels for n_clusters={n_clusters}, needs 10 per cluster. "
            "Lower n_clusters, or see od['valid'] and od['empty'] for why so few pixels count."
        )
    scale = float(np.median(spectra.std(axis=1))) or 1.0
    start = _start(spectra / scale, noise / scale, n_clusters, n_latent, seed)
    settings = {"seed": seed, **asdict(training)}
    parameters, history = _train((spectra / scale, noise / scale), start, settings, device, progress)
    energy = od["energy"].values.astype(np.float64) if "energy" in od.coords else np.arange(n_energies, dtype=float)
    size = (n_clusters, n_latent, training.n_hidden)
    fitted = FittedGMVAE(energy, parameters, scale, *size, 0, np.zeros(n_clusters), history, settings)
    share = _responsibility(fitted, spectra, noise).mean(axis=0)
    alive = int((share >= 0.005).sum())
    return FittedGMVAE(energy, parameters, scale, *size, alive, share, history, settings)


def _material_spectra(od: xr.Dataset, max_pixels: int, seed: int) -> tuple[Array, Array]:
    """Spectra and noise (pixel, energy) of at most ``max_pixels`` random material pixels, read frame by frame."""
    material = od["valid"] & ~od["empty"] if "empty" in od else od["valid"]
    places = np.flatnonzero(np.asarray(material.transpose("scan_y", "scan_x"), dtype=bool).ravel())
    if places.size > max_pixels:
        places = np.sort(np.random.default_rng(seed).choice(places, max_pixels, replace=False))
    picked = []
    for name in ("optical_density", "noise"):
        frames = od[name].transpose("energy", "scan_y", "scan_x")
        picked.append(np.stack([np.asarray(frame, dtype=np.float32).ravel()[places] for frame in frames], axis=1))
    finite = np.isfinite(picked[0]).all(axis=1) & (picked[1] > 0).all(axis=1)
    return picked[0][finite], picked[1][finite]


def _train(
    data: tuple[Array, Array], start: _Start, settings: Mapping[str, Any], device: str, progress: bool
) -> tuple[dict[str, Array], xr.Dataset]:
    import torch
    from tqdm.auto import trange

    from .network import elbo

    where = _device(device)
    with _torch_threads():
        torch_state = torch.Generator().manual_seed(settings["seed"])
        network = _network(start, settings).to(where)
        x, noise = (torch.as_tensor(part, dtype=torch.float32, device=where) for part in data)
        optimiser = torch.optim.Adam(network.parameters(), lr=settings["learning_rate"])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings["n_steps"])
        history = np.zeros((settings["n_steps"], 3))
        for step in trange(settings["n_steps"], desc="fit_gmvae", disable=not progress):
            index = torch.randint(len(x), (min(settings["batch"], len(x)),), generator=torch_state).to(where)
            terms = elbo(network, x[index], noise[index], torch_state)
            means = torch.stack([term.mean() for term in terms])
            loss = _loss(means, step / (_WARM_UP * settings["n_steps"]), settings["free_bits"])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            history[step] = means.detach().cpu().numpy()
    names = ("reconstruction", "kl_latent", "kl_cluster")
    parameters = {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}
    record = xr.Dataset({name: ("step", history[:, index]) for index, name in enumerate(names)})
    if not np.isfinite(history).all():
        raise ConvergenceError(
            "fit_gmvae: the evidence bound is not finite. Lower learning_rate, or check od['noise'].", record
        )
    return parameters, record


def _loss(means: Any, progress: float, free_bits: float) -> Any:
    """Negative bound with the KL terms at the weight their warm-up has reached, never below a tenth."""
    weight = min(1.0, 0.1 + 0.9 * progress)
    return -means[0] + weight * (means[1] + (means[2] - free_bits).clamp_min(0.0))


def _network(start: _Start, settings: Mapping[str, Any]) -> Any:
    import torch

    from .network import Network

    n_clusters, n_latent = start.mean.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings["seed"])
        network = Network(start.shape_mean.size, n_latent, n_clusters, settings["n_hidden"])
    values = {
        "shape_mean": start.shape_mean,
        "basis": start.basis,
        "project": start.project,
        "prior_mean": start.mean,
        "prior_log_variance": np.log(start.variance),
        "prior_logit": np.log(np.maximum(start.weight, 1e-4)),
        "log_precision": np.log(start.precision),
    }
    state = network.state_dict()
    network.load_state_dict(
        {**state, **{name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}}
    )
    return network


def _responsibility(fitted: FittedGMVAE, spectra: Array, noise: Array) -> Array:
    """q(y|x) of spectra (n, energy), in slices of 65536 pixels."""
    import torch

    from .network import Network

    with torch.random.fork_rng(devices=[]):
        network = Network(fitted.energy.size, fitted.n_latent, fitted.n_clusters, fitted.n_hidden)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in fitted.parameters.items()})
    out = np.empty((len(spectra), fitted.n_clusters))
    with torch.no_grad(), _torch_threads():
        for first in range(0, len(spectra), 65536):
            part = slice(first, first + 65536)
            x, sigma = (
                torch.as_tensor(values[part] / fitted.scale, dtype=torch.float32) for values in (spectra, noise)
            )
            log_q = network.posterior(x, sigma).log_cluster.double()
            out[part] = torch.softmax(log_q, dim=-1).numpy()
    return out


def _device(device: str) -> str:
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _torch_threads() -> Iterator[None]:
    """One thread: the matrices are small, more threads cost more than they give, and one makes results repeatable."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
