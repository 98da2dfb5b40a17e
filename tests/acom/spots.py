"""Patterns of disks at known positions, drawn by a rule of their own (32 x 32 sub-pixels), for the tests of peaks."""

import numpy as np
import xarray as xr

FINE = 32


def disk(y, x, radius, size):
    """Anti-aliased disk of sum 1 at (y, x) on a square of ``size`` pixels."""
    sub = (np.arange(size * FINE) + 0.5) / FINE - 0.5
    inside = ((sub - y) ** 2)[:, None] + (sub - x) ** 2 < radius**2
    cover = inside.reshape(size, FINE, size, FINE).mean(axis=(1, 3))
    return cover / cover.sum()


def add_disk(image, y, x, radius, electrons):
    """Add a disk of that many electrons; what falls outside is lost."""
    reach = int(np.ceil(radius)) + 2
    y0, x0 = int(y) - reach, int(x) - reach
    small = electrons * disk(y - y0, x - x0, radius, 2 * reach + 1)
    rows = slice(max(y0, 0), min(y0 + 2 * reach + 1, image.shape[0]))
    columns = slice(max(x0, 0), min(x0 + 2 * reach + 1, image.shape[1]))
    image[rows, columns] += small[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]


def random_pattern(rng, *, size=128, radius=2.5, electrons=2000, spots=20, background=0.2):
    """Expected counts of a pattern, and its spots as rows (y, x, electrons), the direct beam first."""
    centre = (size - 1) / 2 + rng.normal(0, size / 100, 2)
    where = [centre]
    while len(where) < spots + 1:
        trial = rng.uniform(radius + 3, size - radius - 4, 2)
        if min(np.hypot(*(trial - other)) for other in where) > 3.2 * radius:
            where.append(trial)
    where = np.array(where)
    weight = rng.exponential(1, spots + 1) * np.exp(-np.hypot(*(where - centre).T) / (size / 6))
    weight *= 0.6 / weight[1:].sum()
    weight[0] = 0.4
    table = np.column_stack([where, weight * electrons * (1 - background)])
    yy, xx = np.mgrid[:size, :size]
    halo = np.exp(-np.hypot(yy - centre[0], xx - centre[1]) / (size / 7))
    image = background * electrons * halo / halo.sum()
    for y, x, dose in table:
        add_disk(image, y, x, radius, dose)
    return image, table


def as_patterns(images, *, step=1.0, start=0.0, unit="px"):
    """PATTERNS from an array (scan_y, scan_x, qy, qx)."""
    images = np.asarray(images)
    axes = dict(zip(("scan_y", "scan_x", "qy", "qx"), images.shape, strict=True))
    coords = {d: (d, np.arange(n) * 1.0, {"units": "nm"}) for d, n in axes.items() if d.startswith("scan")}
    coords |= {d: (d, start + step * np.arange(n), {"units": unit}) for d, n in axes.items() if d.startswith("q")}
    return xr.Dataset({"intensity": (tuple(axes), images, {"units": "counts"})}, coords)


def scan_of_disks(seed, shape=(4, 5), **settings):
    """Poisson counts of a scan of random patterns and the list of their spots."""
    rng = np.random.default_rng(seed)
    made = [random_pattern(rng, **settings) for _ in range(shape[0] * shape[1])]
    images = rng.poisson([image for image, _ in made]).astype(np.uint16)
    return as_patterns(images.reshape(*shape, *images.shape[1:])), [table for _, table in made]


def compare(peaks, truth, *, reach, weakest):
    """Recall of spots of ``weakest`` electrons and more, precision, and position errors (n, 2) of what was found."""
    n = peaks.sizes["peak"]
    places = np.stack([peaks.qy.values.reshape(-1, n), peaks.qx.values.reshape(-1, n)], axis=-1)
    hits, wanted, right, total, errors = 0, 0, 0, 0, []
    for table, spots in zip(places, truth, strict=True):
        found = table[np.isfinite(table[:, 0])]
        apart = np.linalg.norm(found[:, None] - spots[None, :, :2], axis=-1)
        right, total = right + int((apart.min(axis=1) < reach).sum()), total + len(found)
        strong = spots[:, 2] >= weakest
        near = apart[:, strong].min(axis=0) < reach
        hits, wanted = hits + int(near.sum()), wanted + int(strong.sum())
        best = apart[:, strong].argmin(axis=0)
        errors.append((found[best] - spots[strong, :2])[near])
    return hits / wanted, right / max(total, 1), np.concatenate(errors)
