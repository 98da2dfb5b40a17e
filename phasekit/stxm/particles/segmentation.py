"""Masks cut into particles at their necks, and particles into connected regions of one phase: array kernels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Labels = NDArray[np.int32]
Steps = tuple[float, float]


def segment_particles(material: NDArray[np.bool_], steps: Steps, *, min_area: int, neck: float) -> Labels:
    """Particles (y, x) of a mask, numbered from 0 in reading order, -1 elsewhere.

    ``steps`` are the sides of a pixel [nm], ``min_area`` is in pixels. ``neck`` 0 leaves touching particles together.
    """
    # 4-connected, as the watershed below walks: a diagonal contact is none
    piece, _ = ndimage.label(material)
    size = np.bincount(piece.ravel())
    size[0] = 0
    piece = np.where(size[piece] >= min_area, piece, 0)
    if neck > 0 and piece.any():
        piece = _split_at_necks(piece, steps, min_area=min_area, neck=neck)
    return _number_in_reading_order(piece)


def _split_at_necks(piece: NDArray[Any], steps: Steps, *, min_area: int, neck: float) -> NDArray[Any]:
    r"""Watershed of the distance to the outline, from maxima that exceed the passes between them by the ratio ``neck``.

    On :math:`\ln d` the height of a maximum over its pass is the ratio of the two radii, so one number serves large and
    small particles. One pixel is added to :math:`d`, so that steps of the outline do not look like necks of small ones.
    """
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    inside = piece > 0
    depth = ndimage.distance_transform_edt(inside, sampling=steps)
    height = np.where(inside, np.log(depth / np.sqrt(steps[0] * steps[1]) + 1.0), 0.0)
    # Regional maxima of what is left when all summits are lowered by h. Equal summits over a high pass become one;
    # h_maxima of scikit-image keeps them apart.
    cut = reconstruction(height + np.log(neck), height)  # type: ignore[no-untyped-call]
    summit, n = ndimage.label(local_maxima(cut) & inside, structure=np.ones((3, 3)))  # type: ignore[no-untyped-call]
    summit = _complete_markers(summit, piece, n)
    part = watershed(-depth, summit, mask=inside)  # type: ignore[no-untyped-call]
    size = np.bincount(part.ravel())
    small = size < min_area
    if small[1:].any():  # small parts return to the particle they were cut from
        kept = np.where(small[summit], 0, summit)
        summit = _complete_markers(kept, piece, int(summit.max()))
        part = watershed(-depth, summit, mask=inside)  # type: ignore[no-untyped-call]
    return np.asarray(part)


def _complete_markers(summit: NDArray[Any], piece: NDArray[Any], n: int) -> NDArray[Any]:
    """Give every piece a marker; a piece without a summit of its own is its own marker."""
    known = np.zeros(int(piece.max()) + 1, dtype=bool)
    known[piece[summit > 0]] = True
    bare = ~known[piece] & (piece > 0)
    return np.where(bare, piece + n, summit)


def _number_in_reading_order(label: NDArray[Any]) -> Labels:
    """Labels > 0 renumbered from 0 by their first pixel, the rest -1."""
    values, first = np.unique(label, return_index=True)
    first = first[values > 0]
    values = values[values > 0]
    rank = np.full(int(label.max(initial=0)) + 1, -1, dtype=np.int32)
    rank[values[np.argsort(first)]] = np.arange(values.size, dtype=np.int32)
    return np.asarray(rank[label])


def fill_holes(material: NDArray[np.bool_], max_hole: int) -> NDArray[np.bool_]:
    """Mask without enclosed holes of up to ``max_hole`` pixels; what touches the frame is no hole."""
    hole, _ = ndimage.label(~material)
    size = np.bincount(hole.ravel())
    size[0] = max_hole + 1  # the material is no hole
    for edge in (hole[0], hole[-1], hole[:, 0], hole[:, -1]):
        size[edge] = max_hole + 1
    return material | (size[hole] <= max_hole)


def _assign_nearest(phase: NDArray[Any], sure: NDArray[np.bool_], particle: Labels) -> NDArray[Any]:
    """Phase (y, x) in which pixels that are not ``sure`` take that of the nearest sure pixel of the same particle."""
    if not sure.any() or sure.all():
        return phase
    nearest = ndimage.distance_transform_edt(~sure, return_distances=False, return_indices=True)
    near_phase, near_particle = phase[tuple(nearest)], particle[tuple(nearest)]
    return np.where(~sure & (phase >= 0) & (near_particle == particle), near_phase, phase)


def label_domains(phase: NDArray[Any], particle: Labels, width: float) -> tuple[Labels, NDArray[Any]]:
    """Connected regions (y, x) of one phase in one particle, -1 where there is none, and the phase of these regions.

    Pixels that no disk of this width [px] inside their phase reaches join the nearest region that has one. So do pieces
    smaller than its square.
    """
    named = np.where(particle >= 0, phase, -1)
    if width > 1:
        named = _assign_nearest(named, _find_core(named, width), particle)
    label = _label_regions(named, particle)
    # pieces that are wide enough can still be small
    size = np.bincount(label[label >= 0], minlength=int(label.max(initial=-1)) + 1)
    if size.size and (size < width**2).any():
        named = _assign_nearest(named, (label >= 0) & (size[label] >= width**2), particle)
        label = _label_regions(named, particle)
    return label, named


def _find_core(phase: NDArray[Any], width: float) -> NDArray[np.bool_]:
    """Pixels (y, x) reached by a disk of this width [px] that lies in one phase.

    Outside the particle the phase of the nearest pixel is continued, so that a thin shell at the surface is kept. Blur
    draws layers between two phases, not there.
    """
    inside = phase >= 0
    if not inside.any():
        return inside
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    reach = int(np.ceil(width / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.hypot(y, x) <= width / 2
    # an opening keeps exactly the pixels that a disk inside the phase reaches
    padded = np.pad(phase[tuple(nearest)], 2 * reach, mode="edge")
    core = np.zeros(padded.shape, dtype=bool)
    for index in np.unique(phase[inside]):
        core |= ndimage.binary_opening(padded == index, disk)
    return core[2 * reach : -2 * reach, 2 * reach : -2 * reach] & inside


def _label_regions(phase: NDArray[Any], particle: Labels) -> Labels:
    """Number of the connected region of one phase in one particle, -1 elsewhere."""
    from skimage.measure import label as connected

    inside = (phase >= 0) & (particle >= 0)
    n = int(phase.max(initial=0)) + 1
    # one number per particle and phase, so that one labelling serves all
    code = np.where(inside, particle.astype(np.int64) * n + phase + 1, 0)
    return _number_in_reading_order(connected(code, background=0, connectivity=1))  # type: ignore[no-untyped-call]
