r"""The Gaussian-mixture variational autoencoder for spectra of optical density: distributions and evidence bound.

Model of a pixel: a cluster y is drawn from the weights p(y), and a latent z from :math:`N(m_y, v_y)`. The decoder turns
z into the shape s(z) of a spectrum. The measured spectrum is

.. math:: x = t \, s(z) + b + \epsilon

with thickness t and constant b of the pixel, and the measured noise. Both have broad Gaussian priors and are integrated
out exactly, so no cluster can form on thickness. Stray light flattens thick pixels and has been corrected before.

The encoder gives a Gaussian message :math:`N(z; \mu_x, 1/\lambda_x)`. Multiplied with the prior of a cluster it gives
q(z|x,y). Its overlap with each prior gives q(y|x), as Bayes' theorem does for a linear decoder. Sums over y are exact.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

#: prior standard deviation of the thickness (in units of the field's own) and of the constant (optical density)
THICKNESS_SPREAD = 10.0
CONSTANT_SPREAD = 10.0


class Message(NamedTuple):
    """The encoder's estimate of the latent of each pixel: mean (n, d) and precision (n, d)."""

    mean: Tensor
    precision: Tensor


class Posterior(NamedTuple):
    """q(y|x) as log probabilities (n, k); q(z|x,y) as mean and variance (n, k, d)."""

    log_cluster: Tensor
    mean: Tensor
    variance: Tensor


class EvidenceBound(NamedTuple):
    """Terms of the evidence lower bound per pixel (n,): ``reconstruction - kl_latent - kl_cluster``."""

    reconstruction: Tensor
    kl_latent: Tensor
    kl_cluster: Tensor

    @property
    def total(self) -> Tensor:
        """Lower bound on ln p(x) of each pixel."""
        return self.reconstruction - self.kl_latent - self.kl_cluster


class Network(nn.Module):
    """Encoder, mixture prior and decoder, each as a method that returns a distribution or a mean."""

    def __init__(self, n_energies: int, n_latent: int, n_clusters: int, n_hidden: int) -> None:
        super().__init__()
        self.shape_mean: Tensor
        self.basis: Tensor
        self.project: Tensor
        self.register_buffer("shape_mean", torch.zeros(n_energies))
        self.register_buffer("basis", torch.zeros(n_latent, n_energies))  # rows scaled to unit latent variance
        self.register_buffer("project", torch.zeros(n_latent, n_energies))  # left inverse of the basis
        self.prior_mean = nn.Parameter(torch.zeros(n_clusters, n_latent))
        self.prior_log_variance = nn.Parameter(torch.zeros(n_clusters, n_latent))
        self.prior_logit = nn.Parameter(torch.zeros(n_clusters))
        self.log_precision = nn.Parameter(torch.zeros(n_latent))
        self.encode_more = _make_residual_network(n_energies + 1, n_hidden, 2 * n_latent)
        self.decode_more = _make_residual_network(n_latent, n_hidden, n_energies)

    def decode_shape(self, latent: Tensor) -> Tensor:
        """Decode latents (..., d) to shapes of spectra (..., energy): a linear part plus a learned correction."""
        return self.shape_mean + latent @ self.basis + self.decode_more(latent)

    def encode_message(self, x: Tensor, noise: Tensor) -> Message:
        """Encode spectra (n, energy): projection on the linear basis plus a learned correction.

        Thin pixels get a low precision through their signal-to-noise ratio.
        """
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred @ self.shape_mean) / (self.shape_mean @ self.shape_mean)
        scale = scale.clamp_min(1e-3)
        # Division by the thickness makes the encoder's task the same for thin and thick pixels.
        normalised = centred / scale[:, None]
        # A filled value has a thousand times the noise and no part in the mean.
        measured = noise < 100 * noise.amin(-1, keepdim=True)
        log_snr = torch.log(scale) - 0.5 * torch.log((noise**2 * measured).sum(-1) / measured.sum(-1))
        features = torch.cat([normalised.clamp(-10, 10), log_snr[:, None] / 3.0], dim=-1)
        more_mean, more_precision = self.encode_more(features).chunk(2, dim=-1)
        mean = (normalised - self.shape_mean) @ self.project.T + more_mean
        # The error of a normalised spectrum falls as 1 / SNR, so its precision grows with the square.
        log_precision = 2 * log_snr[:, None] + self.log_precision + more_precision
        # The bounds keep single precision from overflow in pixels without noise or signal.
        return Message(mean, torch.exp(log_precision.clamp(-10.0, 16.0)))

    def compute_log_prior(self) -> Tensor:
        """Compute the log weights of the clusters (k,)."""
        return torch.log_softmax(self.prior_logit, dim=-1)

    def compute_posterior(self, x: Tensor, noise: Tensor) -> Posterior:
        r"""Compute q(y|x) and q(z|x,y): the encoder's message times the mixture prior, normalised in closed form.

        With message :math:`(\mu, \lambda)` and prior :math:`(m_y, v_y)`, for every latent dimension

        .. math:: q(y|x) \propto p(y) \, N(\mu; m_y, v_y + 1/\lambda), \quad
            q(z|x,y) = N\Big(\frac{\lambda \mu + m_y / v_y}{\lambda + 1 / v_y}, \frac{1}{\lambda + 1 / v_y}\Big).
        """
        message = self.encode_message(x, noise)
        variance = torch.exp(self.prior_log_variance)
        spread = variance + 1.0 / message.precision[:, None]
        gap = message.mean[:, None] - self.prior_mean
        overlap = -0.5 * (gap**2 / spread + torch.log(spread)).sum(-1)
        precision = message.precision[:, None] + 1.0 / variance
        mean = (message.precision[:, None] * message.mean[:, None] + self.prior_mean / variance) / precision
        return Posterior(torch.log_softmax(self.compute_log_prior() + overlap, dim=-1), mean, 1.0 / precision)


def _make_residual_network(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Make a small network that starts at exactly zero, so that training starts from the linear model."""
    net = nn.Sequential(nn.Linear(n_in, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_out))
    last: Any = net[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return net


def compute_log_likelihood(x: Tensor, noise: Tensor, shape: Tensor, scale: float) -> Tensor:
    r"""Compute ln p(x | shape) with thickness and constant integrated out.

    With :math:`B = (s, 1)` and the diagonal matrix P of both prior variances, x is Gaussian:

    .. math:: x \sim N(0, \; \mathrm{diag}(\sigma^2) + B P B^T).

    Inverse and determinant follow from the 2 x 2 matrix :math:`P^{-1} + B^T \mathrm{diag}(\sigma^{-2}) B`.

    Parameters
    ----------
    x, noise
        Spectra and standard deviations (n, 1, energy).
    shape
        Shapes (n, k, energy).
    scale
        Prior standard deviation of the thickness.
    """
    weight = 1.0 / noise**2
    a = (weight * shape**2).sum(-1) + scale**-2
    b = (weight * shape).sum(-1)
    c = weight.sum(-1) + CONSTANT_SPREAD**-2
    right_shape, right_one = (weight * shape * x).sum(-1), (weight * x).sum(-1)
    determinant = a * c - b**2
    # Posterior means of thickness and constant, by Cramer's rule.
    thickness = (c * right_shape - b * right_one) / determinant
    constant = (a * right_one - b * right_shape) / determinant
    misfit = x - thickness[..., None] * shape - constant[..., None]
    squares = (weight * misfit**2).sum(-1) + (thickness / scale) ** 2 + (constant / CONSTANT_SPREAD) ** 2
    # Log determinant of the covariance, by the matrix determinant lemma.
    log_volume = 2 * torch.log(noise).sum(-1) + torch.log(determinant) + 2 * math.log(scale * CONSTANT_SPREAD)
    return -0.5 * (squares + log_volume + x.shape[-1] * math.log(2 * math.pi))


def compute_gaussian_kl(mean: Tensor, variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, variance) || N(prior)) of diagonal Gaussians, summed over the last axis; never negative."""
    ratio = variance / torch.exp(prior_log_variance)
    gap = (mean - prior_mean) ** 2 / torch.exp(prior_log_variance)
    return 0.5 * (ratio + gap - 1.0 - torch.log(ratio)).sum(-1)


def compute_categorical_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Compute KL(q || p) of categorical distributions over the last axis; never negative."""
    return (torch.exp(log_q) * (log_q - log_p)).sum(-1)


def compute_elbo(network: Network, x: Tensor, noise: Tensor, generator: torch.Generator | None = None) -> EvidenceBound:
    """Compute the evidence lower bound of each pixel, exact over clusters, with one sample of z per cluster."""
    posterior = network.compute_posterior(x, noise)
    # The sample is a function of mean and variance, so gradients pass through it. Drawn on the CPU, it is the same for
    # every device.
    draw = torch.randn(posterior.mean.shape, generator=generator, device="cpu").to(x)
    latent = posterior.mean + torch.sqrt(posterior.variance) * draw
    likelihood = compute_log_likelihood(x[:, None], noise[:, None], network.decode_shape(latent), THICKNESS_SPREAD)
    q = torch.exp(posterior.log_cluster)
    divergence = compute_gaussian_kl(posterior.mean, posterior.variance, network.prior_mean, network.prior_log_variance)
    return EvidenceBound(
        reconstruction=(q * likelihood).sum(-1),
        kl_latent=(q * divergence).sum(-1),
        kl_cluster=compute_categorical_kl(posterior.log_cluster, network.compute_log_prior()),
    )
