"""Training of one GMVAE: optimisation, warm-up of the KL terms, and early stopping."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import ConvergenceError
from .initialisation import InitialModel

Array = NDArray[np.floating]
_WARM_UP = 0.4  # share of the training during which the KL terms grow to their full weight
_CHECK_EVERY = 20  # steps between two looks at the held-out pixels
_SEEDING_LOCK = Lock()


@dataclass(frozen=True)
class Training:
    """Settings of the training; the defaults suit stacks of 4 to 200 energies.

    Attributes
    ----------
    n_steps, batch, learning_rate
        Largest number of steps, random pixels per step, and the rate of Adam. The rate falls to 0 along a cosine.
    n_hidden
        Width of the two residual networks.
    free_bits
        KL [nat] of the cluster term that costs nothing, on average over a batch. 0.5 keeps two clusters from merging.
    max_pixels
        Largest number of random pixels read into memory.
    held_out
        Fraction of them that is never trained on. The parameters with the best bound there are kept. 0 keeps the last
        ones.
    patience
        Number of checks of the held-out pixels without a better bound, after which training ends.
        They are checked every 20 steps after the warm-up.

    See Also
    --------
    fit_gmvae : Uses these settings.
    """

    n_steps: int = 400
    batch: int = 1024
    learning_rate: float = 3e-3
    n_hidden: int = 32
    free_bits: float = 0.5
    max_pixels: int = 30_000
    held_out: float = 0.1
    patience: int = 5


class _TrainingSet(NamedTuple):
    """Spectra and noise (pixel, energy) to train on, and those held out."""

    x: Any
    noise: Any
    held_x: Any
    held_noise: Any


class _EarlyStopping:
    """Best bound on the held-out pixels so far, with the parameters that gave it."""

    def __init__(self, patience: int) -> None:
        self.patience, self.bound, self.n_without_gain = patience, -np.inf, 0
        self.parameters: dict[str, Array] = {}

    def update(self, bound: float, network: Any) -> bool:
        """Update with a new bound; True when it has not improved for too long."""
        if bound > self.bound:
            self.bound, self.n_without_gain, self.parameters = bound, 0, _read_parameters(network)
        else:
            self.n_without_gain += 1
        return self.n_without_gain >= self.patience


def train_network(
    spectra: Array, noise: Array, start: InitialModel, settings: Mapping[str, Any], device: str, progress: Any
) -> tuple[dict[str, Array], xr.Dataset]:
    """Train one network; returns the parameters by name and the terms of the bound by step.

    Several may run at once, in threads, inside one :func:`use_one_torch_thread`. ``progress`` is a tqdm bar, moved by
    one for each step.
    """
    import torch

    torch_device = _select_device(device)
    generator = torch.Generator().manual_seed(settings["seed"])
    network = _build_network(start, settings).to(torch_device)
    data = _split_pixels(spectra, noise, settings, torch_device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings["learning_rate"])
    # A falling rate lets the parameters settle; a constant one keeps them moving with the batches.
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings["n_steps"])
    best, history, held = _EarlyStopping(settings["patience"]), [], np.full(settings["n_steps"], np.nan)
    for step in range(settings["n_steps"]):
        # Early KL terms would merge clusters before the decoder has learned to use them.
        warm_up = step / (_WARM_UP * settings["n_steps"])
        history.append(_run_step(network, data, optimiser, settings, warm_up, generator))
        schedule.step()
        progress.update()
        # During the warm-up the bound is not the one that is maximised, so it is not judged.
        is_due = warm_up >= 1 and len(data.held_x) > 0 and (step + 1) % _CHECK_EVERY == 0
        held[step] = _compute_held_out_bound(network, data, settings["seed"]) if is_due else np.nan
        if is_due and best.update(float(held[step]), network):
            break
    return _make_history(best.parameters or _read_parameters(network), np.array(history), held)


def _make_history(parameters: dict[str, Array], history: Array, held: Array) -> tuple[dict[str, Array], xr.Dataset]:
    """Make the record of the training; refuse a bound that is not finite."""
    names = ("reconstruction", "kl_latent", "kl_cluster")
    record = xr.Dataset({name: ("step", history[:, index]) for index, name in enumerate(names)})
    record["held_out"] = ("step", held[: len(history)])
    if not np.isfinite(history).all():
        raise ConvergenceError(
            "fit_gmvae: the evidence bound is not finite. Lower learning_rate, or check od['noise'].", record
        )
    return parameters, record


def _split_pixels(spectra: Array, noise: Array, settings: Mapping[str, Any], torch_device: str) -> _TrainingSet:
    """Split the pixels at random into those to train on and those held out."""
    import torch

    order = np.random.default_rng(settings["seed"]).permutation(len(spectra))
    # At most 5000, since the bound is computed for all of them at every check.
    n_held = min(int(settings["held_out"] * len(spectra)), 5000)
    parts = [part[rows] for rows in (order[n_held:], order[:n_held]) for part in (spectra, noise)]
    return _TrainingSet(*(torch.as_tensor(part, dtype=torch.float32, device=torch_device) for part in parts))


def _run_step(
    network: Any, data: _TrainingSet, optimiser: Any, settings: Mapping[str, Any], warm_up: float, generator: Any
) -> list[float]:
    """Run one step of Adam on a random batch; returns the three terms of the bound."""
    import torch

    from .network import compute_elbo

    # Drawn on the CPU, so that every device sees the same batches.
    index = torch.randint(len(data.x), (min(settings["batch"], len(data.x)),), generator=generator).to(data.x.device)
    terms = compute_elbo(network, data.x[index], data.noise[index], generator)
    means = torch.stack([term.mean() for term in terms])
    optimiser.zero_grad()
    _compute_loss(means, warm_up, settings["free_bits"]).backward()
    # A batch with an outlier must not throw the parameters far away.
    torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimiser.step()
    return [float(mean) for mean in means.detach().cpu()]


def _compute_held_out_bound(network: Any, data: _TrainingSet, seed: int) -> float:
    """Compute the mean bound of the held-out pixels, always with the same draws, so that steps can be compared."""
    import torch

    from .network import compute_elbo

    with torch.no_grad():
        return float(
            compute_elbo(network, data.held_x, data.held_noise, torch.Generator().manual_seed(seed)).total.mean()
        )


def _compute_loss(means: Any, warm_up: float, free_bits: float) -> Any:
    """Compute the negative bound with the KL terms at the weight of their warm-up, never below a tenth."""
    # Without any KL the latent space would lose its scale.
    weight = min(1.0, 0.1 + 0.9 * warm_up)
    return -means[0] + weight * (means[1] + (means[2] - free_bits).clamp_min(0.0))


def _build_network(start: InitialModel, settings: Mapping[str, Any]) -> Any:
    """Build the network with the parameters of the initial model."""
    import torch

    n_clusters, n_latent = start.mean.shape
    network = make_network(start.shape_mean.size, n_latent, n_clusters, settings["n_hidden"], settings["seed"])
    values = {
        "shape_mean": start.shape_mean,
        "basis": start.basis,
        "project": start.project,
        "prior_mean": start.mean,
        "prior_log_variance": np.log(start.variance),
        # An empty component must keep a finite logit.
        "prior_logit": np.log(np.maximum(start.weight, 1e-4)),
        "log_precision": np.log(start.precision),
    }
    # The residual networks keep their random hidden weights; their output is zero at the start.
    state = network.state_dict()
    network.load_state_dict(
        {**state, **{name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}}
    )
    return network


def make_network(n_energies: int, n_latent: int, n_clusters: int, n_hidden: int, seed: int = 0) -> Any:
    """Make a network with random hidden weights, from a global state of torch that is restored afterwards."""
    import torch

    from .network import Network

    # torch draws initial weights from one global generator, which other threads must not use meanwhile.
    with _SEEDING_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(n_energies, n_latent, n_clusters, n_hidden)


def _read_parameters(network: Any) -> dict[str, Array]:
    """Read the parameters as arrays by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def _select_device(device: str) -> str:
    """Select the device: a GPU for "auto" when there is one."""
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def use_one_torch_thread() -> Iterator[None]:
    """Use one torch thread inside the block.

    The matrices are small, so more threads cost more than they save. One thread makes results repeatable.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
