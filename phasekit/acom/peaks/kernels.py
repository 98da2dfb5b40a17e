"""Compiled kernels of peak finding: one pattern in, a short table of peaks out.

All arrays are float32 images ``(qy, qx)``, positions are pixels whose integer values are pixel centres.
Scratch images are handed in, because allocating them costs as much as the arithmetic.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

_STEPS = 20  # of the mean shift; 3..6 suffice above 20 electrons
_SETTLED = 2e-3  # [px]; the counts of a bright disk fix it to 0.01


@njit(cache=True, nogil=True, error_model="numpy")
def fill_gaps(image: Image) -> int:
    """Replace NaN and infinities by the last finite pixel of the row (0 at its start); return how many there were."""
    gaps = 0
    for y in range(image.shape[0]):
        last = np.float32(0.0)
        for x in range(image.shape[1]):
            if np.isfinite(image[y, x]):
                last = image[y, x]
            else:
                image[y, x] = last
                gaps += 1
    return gaps


@njit(cache=True, nogil=True, error_model="numpy")
def corner_statistics(image: Image) -> tuple[float, float]:
    """Mean and standard deviation of the pixels outside the inscribed circle."""
    ny, nx = image.shape
    cy, cx = (ny - 1) / 2, (nx - 1) / 2
    limit = (min(ny, nx) / 2) ** 2
    total, squares, n = 0.0, 0.0, 0
    for y in range(ny):
        rest = limit - (y - cy) ** 2
        # First column inside the circle and first one behind it.
        inner = nx if rest < 0 else max(int(np.ceil(cx - np.sqrt(rest))), 0)
        outer = nx if rest < 0 else min(int(np.floor(cx + np.sqrt(rest))) + 1, nx)
        for part in (image[y, :inner], image[y, outer:]):
            for value in part:
                total += value
                squares += value * np.float64(value)
            n += part.size
    mean = total / max(n, 1)
    return mean, np.sqrt(max(squares / max(n, 1) - mean * mean, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def blur(image: Image, kernel: Image, scratch: Image, out: Image) -> None:
    """Separable convolution with a symmetric kernel; the kernel's mass inside the image is what it is divided by."""
    ny, nx = image.shape
    half = kernel.size // 2
    norm = np.empty(max(ny, nx), np.float32)
    padded = np.zeros(nx + 2 * half, np.float32)
    _inside(kernel, nx, norm)
    for y in range(ny):
        padded[half : half + nx] = image[y]
        scratch[y] = padded[half : half + nx] * kernel[half]
        for k in range(1, half + 1):
            _add_pair(kernel[half + k], padded[half - k :], padded[half + k :], scratch[y])
        for x in range(nx):
            scratch[y, x] /= norm[x]
    _inside(kernel, ny, norm)
    for y in range(ny):
        _times(kernel[half] / norm[y], scratch[y], out[y])
        for k in range(1, half + 1):
            weight = kernel[half + k] / norm[y]
            if y >= k and y + k < ny:
                _add_pair(weight, scratch[y - k], scratch[y + k], out[y])
            elif y >= k:
                _add(weight, scratch[y - k], out[y])
            elif y + k < ny:
                _add(weight, scratch[y + k], out[y])


# On plain views of rows the compiler vectorises these (5 times faster than indexing the image).
@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _times(weight: float, source: Image, target: Image) -> None:
    for x in range(target.size):
        target[x] = np.float32(weight) * source[x]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _add(weight: float, source: Image, target: Image) -> None:
    for x in range(target.size):
        target[x] += np.float32(weight) * source[x]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _add_pair(weight: float, first: Image, second: Image, target: Image) -> None:
    for x in range(target.size):
        target[x] += np.float32(weight) * (first[x] + second[x])


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(kernel: Image, n: int, norm: Image) -> None:
    half = kernel.size // 2
    for x in range(n):
        norm[x] = kernel[max(0, half - x) : min(kernel.size, half + n - x)].sum()


@njit(cache=True, nogil=True, error_model="numpy")
def box_mean(image: Image, half: int, scratch: Image, out: Image) -> None:
    """Mean over a window of 2 half + 1 pixels, over the part of it inside the image."""
    ny, nx = image.shape
    for y in range(ny):
        total, share, row = 0.0, 0.0, image[y]
        for x in range(min(half, nx)):
            total += row[x]
        for x in range(nx):
            if x + half < nx:
                total += row[x + half]
            if x - half - 1 >= 0:
                total -= row[x - half - 1]
            if x <= half + 1 or x + half >= nx:
                share = 1.0 / (min(x + half, nx - 1) - max(x - half, 0) + 1)
            scratch[y, x] = total * share
    column = np.zeros(nx, np.float64)
    for y in range(min(half, ny)):
        column += scratch[y]
    for y in range(ny):
        if y + half < ny:
            column += scratch[y + half]
        if y - half - 1 >= 0:
            column -= scratch[y - half - 1]
        share = 1.0 / (min(y + half, ny - 1) - max(y - half, 0) + 1)
        for x in range(nx):
            out[y, x] = column[x] * share


@njit(cache=True, nogil=True, error_model="numpy")
def threshold(level: float, noise: Floats) -> float:
    """Prominence that noise on ``level`` does not reach: sqrt(a + b level) + c (Bernstein's bound), at least ``d``."""
    return max(np.sqrt(max(noise[0] + noise[1] * level, 0.0)) + noise[2], noise[3])


@njit(cache=True, nogil=True, error_model="numpy")
def parabolic_opening(image: Image, curvature: float, out: Image) -> None:
    """Upper envelope of the paraboloids -curvature r^2 that fit under the image (sliding paraboloid, exact)."""
    ny, nx = image.shape
    out[:, :] = image
    for sign in (1.0, -1.0):  # erosion, then dilation as the erosion of the negative
        for y in range(ny):
            out[y, :] = sign * _lower_envelope(sign * out[y, :].astype(np.float64), curvature)
        for x in range(nx):
            out[:, x] = sign * _lower_envelope(sign * out[:, x].astype(np.float64), curvature)


@njit(cache=True, nogil=True, error_model="numpy")
def _lower_envelope(values: Floats, curvature: float) -> Floats:
    """Minimum over u of values[u] + curvature (x - u)^2 for every x, in linear time (Felzenszwalb and Huttenlocher)."""
    n = values.size
    apex, start = np.zeros(n, np.int64), np.empty(n + 1)
    start[0], start[1] = -np.inf, np.inf
    last = 0
    for u in range(1, n):
        while True:
            v = apex[last]
            cross = ((values[u] + curvature * u * u) - (values[v] + curvature * v * v)) / (2 * curvature * (u - v))
            if cross > start[last]:
                break
            last -= 1
        last += 1
        apex[last], start[last], start[last + 1] = u, cross, np.inf
    out = np.empty(n)
    k = 0
    for x in range(n):
        while start[k + 1] < x:
            k += 1
        out[x] = values[apex[k]] + curvature * (x - apex[k]) ** 2
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def brightness_order(bits: NDArray[np.uint32], order: Integers, spare: Integers) -> int:
    """Indices of the positive pixels, brightest first; ``bits`` are those of the float32 pixels."""
    n = 0
    for i in range(bits.size):
        if 0 < bits[i] < 0x7F800000:  # positive and finite
            order[n] = i
            n += 1
    sort_by_bits(bits, order, spare, n)
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def sort_by_bits(bits: NDArray[np.uint32], order: Integers, spare: Integers, n: int) -> None:
    """Sort the first ``n`` of ``order`` by their bits, largest first: a radix sort, 10 times faster than argsort."""
    offsets = np.empty(2049, np.int64)
    for shift in (0, 11, 22):
        offsets[:] = 0
        for i in range(n):
            offsets[2048 - ((bits[order[i]] >> shift) & 2047)] += 1
        for digit in range(1, 2049):
            offsets[digit] += offsets[digit - 1]
        for i in range(n):
            digit = 2047 - ((bits[order[i]] >> shift) & 2047)
            spare[offsets[digit]] = order[i]
            offsets[digit] += 1
        order[:n] = spare[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def flood(image: Image, order: Integers, label: Integers, peak: Integers, saddle: Image) -> int:
    """Topographic prominence by flooding: pixels emerge from the brightest down, hills that meet merge.

    ``order`` lists pixels brightest first. At a meeting the lower summit is closed: the level is its saddle, and
    prominence = summit - saddle. Hills that never meet another get the lowest level flooded.
    ``label`` is scratch, with a rim of one pixel. Returns the number of summits; ``peak``, ``saddle`` are filled.
    """
    nx = image.shape[1]
    flat, wide = image.ravel(), nx + 2
    label[:] = -1
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    parent = np.empty(peak.size, np.int32)
    n = 0
    for i in order:
        here = i + 2 * (i // nx) + wide + 1
        root, seen = -1, -1
        for step in around:
            other = label[here + step]
            if other < 0 or other == seen:
                continue
            seen, other = other, _root(parent, other)
            if root >= 0 and other != root:
                high, low = min(root, other), max(root, other)  # summits are numbered from the brightest down
                parent[low], saddle[low] = high, flat[i]
                other = high
            root = other
        if root < 0:
            root = n
            peak[n], parent[n], saddle[n] = i, n, flat[order[-1]]
            n += 1
        label[here] = root
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _root(parent: Integers, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
