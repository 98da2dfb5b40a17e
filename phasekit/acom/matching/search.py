"""The two stages of the search: every template at every angle roughly, then the most promising ones exactly.

Stage one sums only the lowest ``COARSE_FREQUENCIES`` of the azimuthal series, on ``COARSE_ANGLES`` angles, by matrix
products: per frequency real and imaginary parts of patterns and templates give templates and mirrored templates
together, and the transform to angles is a product with a table of cosines and sines. What counts is the density of
angles, not of frequencies: with 16 frequencies on 64 angles the exact best entry was always among the first 30 of
some thousand, with 24 on 48 angles it was lost in 1..3 % of patterns. Stage two computes the full series of the few.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .polar import ANGLES, FREQUENCIES, Terms, turn_table

Real = NDArray[np.float32]

COARSE_FREQUENCIES = 16
COARSE_ANGLES = 64
_BLOCK = 64  # templates per product: what belongs to them stays in the second-level cache


@dataclass(frozen=True)
class Layout:
    """Templates of one phase laid out for both stages.

    ``blocks`` holds (real, imaginary) parts (m, shell, template) of the coarse frequencies; ``real``, ``imag``
    (template, shell, m) hold all of them.
    """

    blocks: list[tuple[Any, Any]]
    real: Real
    imag: Real

    @property
    def entries(self) -> int:
        """Templates as they are, then mirrored in y."""
        return 2 * len(self.real)


def lay_out(terms: Terms, device: str | None = None) -> Layout:
    """Layout of template terms (template, shell, m); ``device``: torch device of stage one, None for NumPy."""
    coarse = terms[:, :, :COARSE_FREQUENCIES].transpose(2, 1, 0)
    blocks = []
    for start in range(0, len(terms), _BLOCK):
        part = coarse[:, :, start : start + _BLOCK]
        pair = (np.ascontiguousarray(part.real), np.ascontiguousarray(part.imag))
        blocks.append(pair if device is None else (_tensor(pair[0], device), _tensor(pair[1], device)))
    return Layout(blocks, np.ascontiguousarray(terms.real), np.ascontiguousarray(terms.imag))


def _tensor(array: Any, device: str) -> Any:
    import torch

    return torch.as_tensor(array, device=device)


def shortlist(terms: Terms, layout: Layout, count: int, device: str | None = None) -> NDArray[np.int64]:
    """Indices (pattern, count) of the entries with the highest coarse correlation, rising."""
    if count >= layout.entries:
        return np.broadcast_to(np.arange(layout.entries), (len(terms), layout.entries)).copy()
    top = coarse_best(terms, layout, device)
    return np.sort(np.argpartition(top, layout.entries - count, axis=1)[:, -count:], axis=1)


def coarse_best(terms: Terms, layout: Layout, device: str | None = None) -> Real:
    """Largest coarse correlation over the angles (pattern, entry)."""
    coarse = terms[:, :, :COARSE_FREQUENCIES].transpose(2, 0, 1)
    real: Any = np.ascontiguousarray(coarse.real)
    imag: Any = np.ascontiguousarray(coarse.imag)
    cosine: Any
    sine: Any
    cosine, sine = turn_table(COARSE_FREQUENCIES, COARSE_ANGLES)
    xp: Any = np
    if device is not None:
        import torch

        xp = torch
        real, imag, cosine, sine = (_tensor(array, device) for array in (real, imag, cosine, sine))
    parts = [_coarse_block(real, imag, block, (cosine, sine), xp) for block in layout.blocks]
    return np.concatenate([p[0] for p in parts] + [p[1] for p in parts], axis=1)


def _coarse_block(real: Any, imag: Any, block: tuple[Any, Any], table: tuple[Any, Any], xp: Any) -> tuple[Real, Real]:
    """Best of one block of templates (pattern, template), as they are and mirrored."""
    frequencies, count, _ = real.shape
    size = block[0].shape[2]
    placed = {} if xp is np else {"device": real.device}
    even = xp.empty((frequencies, 2, count, size), dtype=xp.float32, **placed)
    odd = xp.empty((frequencies, 2, count, size), dtype=xp.float32, **placed)
    xp.matmul(real, block[0], out=even[:, 0])
    xp.matmul(imag, block[1], out=even[:, 1])
    xp.matmul(imag, block[0], out=odd[:, 0])
    xp.matmul(real, block[1], out=odd[:, 1])
    shape = (len(table[0]), 2, count, size)
    over_cosine = (table[0] @ even.reshape(frequencies, -1)).reshape(shape)
    over_sine = (table[1] @ odd.reshape(frequencies, -1)).reshape(shape)
    if xp is np:
        best = np.empty((2, count, size), np.float32)
        _highest(over_cosine, over_sine, best)
        return best[0], best[1]
    # Curve at an angle and at its negative: a - b and a + b, so the larger is a + |b|.
    plain = (over_cosine[:, 0] + over_cosine[:, 1] + (over_sine[:, 0] - over_sine[:, 1]).abs()).amax(dim=0)
    mirrored = (over_cosine[:, 0] - over_cosine[:, 1] + (over_sine[:, 0] + over_sine[:, 1]).abs()).amax(dim=0)
    return plain.cpu().numpy(), mirrored.cpu().numpy()


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _highest(over_cosine, over_sine, best):  # type: ignore[no-untyped-def]
    """Largest value over the angles, of templates as they are and mirrored: max of a + |b|."""
    angles, _, count, size = over_cosine.shape
    for b in range(count):
        plain, mirrored = best[0, b], best[1, b]
        plain[:] = -np.float32(1e30)
        mirrored[:] = -np.float32(1e30)
        for k in range(angles):
            rr, ii, ir, ri = over_cosine[k, 0, b], over_cosine[k, 1, b], over_sine[k, 0, b], over_sine[k, 1, b]
            for t in range(size):
                plain[t] = max(plain[t], rr[t] + ii[t] + abs(ir[t] - ri[t]))
                mirrored[t] = max(mirrored[t], rr[t] - ii[t] + abs(ir[t] + ri[t]))


def fine_curves(terms: Terms, layout: Layout, entries: NDArray[np.int64]) -> tuple[Real, Real]:
    """Full correlation of chosen entries (pattern, entry, ANGLES / 2 + 1) as (a, b): a - b at angle k, a + b at -k."""
    count, chosen = entries.shape
    real = np.empty((count, chosen, FREQUENCIES), np.float32)
    imag = np.empty_like(real)
    pattern_real, pattern_imag = np.ascontiguousarray(terms.real), np.ascontiguousarray(terms.imag)
    _spectra(pattern_real, pattern_imag, layout.real, layout.imag, entries, real, imag)
    cosine, sine = turn_table(FREQUENCIES, ANGLES)
    # One product per pattern: in a product over all, the last bits of a row depend on its place, and so on the chunks.
    return real @ cosine.T, imag @ sine.T


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _spectra(p_real, p_imag, t_real, t_imag, entries, real, imag):  # type: ignore[no-untyped-def]
    """P conj(T) of entries as they are, P T of mirrored ones, summed over the shells the pattern has spots in."""
    count, chosen = entries.shape
    n, shells, frequencies = t_real.shape
    used = np.empty(shells, np.int64)
    for b in range(count):
        n_used = 0
        for s in range(shells):
            if p_real[b, s, 0] > 0:
                used[n_used] = s
                n_used += 1
        for c in range(chosen):
            entry = entries[b, c]
            sign = np.float32(1.0 if entry < n else -1.0)
            t = entry % n
            r, i = real[b, c], imag[b, c]
            r[:] = 0
            i[:] = 0
            for u in range(n_used):
                s = used[u]
                if t_real[t, s, 0] == 0:
                    continue
                a, d, e, f = p_real[b, s], p_imag[b, s], t_real[t, s], t_imag[t, s]
                for m in range(frequencies):
                    r[m] += a[m] * e[m] + sign * d[m] * f[m]
                    i[m] += d[m] * e[m] - sign * a[m] * f[m]
