"""Compiled kernels that sort pixels by brightness and find the topographic prominence of maxima."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Integers = NDArray[np.int32]


@njit(cache=True, nogil=True, error_model="numpy")
def sort_by_brightness(bits: NDArray[np.uint32], order: Integers, spare: Integers) -> int:
    """Write into ``order`` the indices of the positive pixels, brightest first, and return their number.

    Parameters
    ----------
    bits
        Bit patterns (pixel,) of the float32 pixels.
    order, spare
        Arrays (pixel,) that are overwritten; ``spare`` is scratch.
    """
    n = 0
    for i in range(bits.size):
        # Comparing bits as integers leaves out zeros, negative numbers, infinities and NaN in one test.
        if 0 < bits[i] < 0x7F800000:  # positive and finite
            order[n] = i
            n += 1
    sort_by_bits(bits, order, spare, n)
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def sort_by_bits(bits: NDArray[np.uint32], order: Integers, spare: Integers, n: int) -> None:
    """Sort the first ``n`` indices of ``order`` by their bit patterns, largest first.

    The bit patterns of positive floats sort like the floats. A radix sort on them is 10 times faster than argsort.

    Parameters
    ----------
    bits
        Bit patterns (pixel,) of the float32 pixels.
    order, spare
        Indices (pixel,) to sort in place, and scratch of the same length.
    n
        Number of indices to sort.
    """
    offsets = np.empty(2049, np.int64)
    for shift in (0, 11, 22):  # three passes over 11 bits each; every pass is stable, so the next keeps its order
        offsets[:] = 0
        for i in range(n):
            # Counts of each digit, in reverse, so that the largest digit gets the first place.
            offsets[2048 - ((bits[order[i]] >> shift) & 2047)] += 1
        for digit in range(1, 2049):
            offsets[digit] += offsets[digit - 1]
        for i in range(n):
            digit = 2047 - ((bits[order[i]] >> shift) & 2047)
            spare[offsets[digit]] = order[i]
            offsets[digit] += 1
        order[:n] = spare[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def find_saddles(image: Image, order: Integers, label: Integers, peak: Integers, saddle: Image) -> int:
    """Find the maxima of an image and the saddle of each, by flooding; return the number of maxima.

    Pixels are added from the brightest down. Neighbouring pixels form regions, each with one summit.
    Where two regions touch, they merge, and that level is the saddle of the lower summit.
    The topographic prominence is summit minus saddle. A region that never merges gets the lowest level as saddle.

    Parameters
    ----------
    image
        Pattern (qy, qx) [counts].
    order
        Flat indices of the pixels to flood, brightest first.
    label
        Scratch for (qy + 2) (qx + 2) pixels: the region of each pixel, with a rim of one pixel.
    peak, saddle
        Written: flat index and saddle level [counts] of every maximum, from the highest down.
    """
    nx = image.shape[1]
    flat, wide = image.ravel(), nx + 2
    label[:] = -1
    # A rim of one pixel around the labels makes tests for the edge of the image unnecessary.
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    parent = np.empty(peak.size, np.int32)
    n = 0
    for i in order:
        here = i + 2 * (i // nx) + wide + 1
        root, seen = -1, -1
        # The regions of the eight neighbours that are already flooded merge through this pixel.
        for step in around:
            other = label[here + step]
            if other < 0 or other == seen:
                continue
            seen, other = other, _find_root(parent, other)
            if root >= 0 and other != root:
                # The lower of two summits ends here, and this level is its saddle.
                high, low = min(root, other), max(root, other)  # summits are numbered from the brightest down
                parent[low], saddle[low] = high, flat[i]
                other = high
            root = other
        if root < 0:
            # No neighbour is flooded yet, so the pixel is a new summit.
            root = n
            peak[n], parent[n], saddle[n] = i, n, flat[order[-1]]
            n += 1
        label[here] = root
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _find_root(parent: Integers, i: int) -> int:
    """Region that region ``i`` has merged into; the path to it is halved, so that later calls are short."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
