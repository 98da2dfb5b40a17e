"""Simulated scans of twinned, bent and strained crystals, of beam drift, of rare grains and of backgrounds.

``python -m benchmarks.nmf.strangers.bent_and_twinned`` simulates every case and prints a table.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from .bent_and_twinned_parts import (
    MATERIALS,
    Array,
    Optics,
    draw_change,
    draw_dense_grains,
    draw_field,
    draw_orientation,
    draw_particles,
    list_reflections,
    orient_on_row,
    render_background,
    render_crystal,
)

LEVELS = np.linspace(-1, 1, 25)  # a continuous change is rendered at these values and interpolated in between

# Condition, electrons per pattern, scan points, detector pixels, what is in the scan.
_ROWS: list[tuple[str, float, tuple[int, int], tuple[int, int], dict[str, Any]]] = [
    ("twins", 1237, (32, 32), (48, 48), {"pairs": 1, "backgrounds": ("film",)}),
    ("twins", 277, (48, 48), (56, 56), {"pairs": 2, "singles": 2, "backgrounds": ("film",)}),
    ("twins", 4464, (56, 48), (48, 48), {"pairs": 4, "singles": 1}),
    ("twins", 806, (64, 64), (64, 64), {"pairs": 6, "backgrounds": ("film", "vacuum")}),
    ("twins", 146, (64, 48), (52, 60), {"pairs": 3, "singles": 3, "backgrounds": ("film",), "particles": True}),
    ("bend", 16109, (24, 24), (40, 40), {"singles": 2, "backgrounds": ("film",)}),
    ("bend", 2910, (48, 40), (56, 56), {"singles": 4, "backgrounds": ("film",)}),
    ("bend", 223, (64, 64), (64, 64), {"singles": 8, "backgrounds": ("film",), "particles": True}),
    ("bend", 526, (72, 64), (64, 64), {"singles": 13, "backgrounds": ("film", "vacuum")}),
    ("strain", 5528, (16, 16), (48, 48), {"singles": 1, "backgrounds": ("film",)}),
    ("strain", 180, (40, 40), (60, 60), {"singles": 4}),
    ("strain", 1897, (48, 64), (56, 56), {"singles": 7, "backgrounds": ("film",), "particles": True}),
    ("strain", 999, (64, 64), (64, 64), {"singles": 11, "backgrounds": ("film", "binder")}),
    ("beam drift", 95, (32, 24), (48, 48), {"singles": 2, "backgrounds": ("film",)}),
    ("beam drift", 651, (48, 48), (64, 64), {"singles": 6}),
    ("beam drift", 3604, (128, 128), (48, 48), {"singles": 10, "backgrounds": ("film", "vacuum")}),
    ("beam drift", 8480, (64, 64), (56, 56), {"singles": 16, "backgrounds": ("film",)}),
    ("rare grains", 62, (40, 40), (48, 48), {"singles": 2, "rare": 3, "backgrounds": ("film",)}),
    ("rare grains", 13007, (48, 48), (64, 64), {"singles": 3, "rare": 6}),
    ("rare grains", 1532, (64, 64), (56, 56), {"singles": 4, "rare": 9, "backgrounds": ("film",)}),
    ("rare grains", 424, (96, 96), (56, 56), {"singles": 4, "rare": 14, "backgrounds": ("film", "binder")}),
    ("plain", 77, (20, 16), (48, 48), {"singles": 1, "backgrounds": ("film",)}),
    ("plain", 118, (32, 40), (72, 72), {"singles": 4, "backgrounds": ("film",), "particles": True}),
    ("plain", 10502, (56, 56), (60, 48), {"singles": 10, "backgrounds": ("film",), "particles": True}),
    ("plain", 2350, (80, 72), (56, 56), {"singles": 18, "backgrounds": ("film", "vacuum")}),
    ("background alone", 50, (16, 24), (48, 48), {"backgrounds": ("film",)}),
    ("background alone", 343, (48, 48), (64, 64), {"backgrounds": ("binder",)}),
    ("background alone", 20000, (32, 32), (56, 56), {"backgrounds": ("vacuum",)}),
    ("background alone", 6847, (64, 64), (48, 48), {"backgrounds": ("film",), "drift": True}),
]


@dataclass(frozen=True)
class Case:
    """A scan to simulate: what is in it, electrons per pattern, scan points and detector pixels along y and x."""

    name: str
    condition: str
    n_components: int
    electrons: float
    shape: tuple[int, int]
    detector: tuple[int, int]
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Component:
    """A map (scan_y, scan_x) and a family of patterns (level, qy * qx); ``change`` (scan_y, scan_x) picks the level."""

    map: Array
    patterns: Array
    change: Array | None = None


def _list_cases() -> dict[str, Case]:
    """All cases; k follows from the pairs of twins, the single grains, the rare grains and the backgrounds."""
    cases = {}
    for number, (condition, electrons, shape, detector, settings) in enumerate(_ROWS):
        crystals = 2 * settings.get("pairs", 0) + settings.get("singles", 0) + settings.get("rare", 0)
        k = crystals + len(settings.get("backgrounds", ()))
        name = f"{condition.replace(' ', '_')}_{k}_{number}"
        cases[name] = Case(name, condition, k, electrons, shape, detector, 41_000 + 1000 * number, settings)
    return cases


def draw_optics(case: Case, rng: np.random.Generator) -> Optics:
    """Camera length, disks, rocking width and direct beam of a scan; scans with vacuum have no beam stop."""
    half = min(case.detector) / 2
    direct = float(rng.choice([0.0, 0.1, 0.2, 0.3]))
    direct = max(direct, 0.1) if "vacuum" in case.settings.get("backgrounds", ()) else direct
    return Optics(
        detector=case.detector,
        centre=(np.array(case.detector) - 1) / 2 + rng.uniform(-1.5, 1.5, 2),
        scale=half / rng.uniform(1.0, 1.45),
        radius=rng.uniform(0.9, 2.6),
        softness=rng.uniform(0.5, 0.8),
        rocking=rng.uniform(0.006, 0.02),
        wave_number=float(rng.choice([24.0, 40.0, 51.0])),
        direct=direct,
        diffuse=rng.uniform(0.08, 0.25),
    )


def draw_crystals(
    case: Case, optics: Optics, rng: np.random.Generator
) -> tuple[list[tuple[Array, Array]], list[Array]]:
    """Reflections (n, 3) and strengths of each crystal, twins behind their parents, and the rows (3,) of the pairs."""
    limit = 1.1 * max(case.detector) / 2 / optics.scale
    materials = rng.choice(list(MATERIALS), 2, replace=False)
    sets = [list_reflections(str(material), limit, rng) for material in materials]
    crystals: list[tuple[Array, Array]] = []
    rows: list[Array] = []
    for _ in range(case.settings.get("pairs", 0)):
        g, strength = sets[int(rng.random() < 0.3)]
        turned, row = orient_on_row(g, strength, rng)
        # The twin is the parent turned by 180 degrees about the shared row.
        crystals += [(turned, strength), (2 * np.outer(turned @ row, row) - turned, strength)]
        rows.append(row)
    for _ in range(case.settings.get("singles", 0) + case.settings.get("rare", 0)):
        g, strength = sets[int(rng.random() < 0.3)]
        crystals.append((draw_orientation(g, strength, optics, rng), strength))
    return crystals, rows


def draw_crystal_maps(case: Case, rows: list[Array], rng: np.random.Generator) -> Array:
    """Maps (crystal, scan_y, scan_x) in the order of ``draw_crystals``, before blur and thickness."""
    pairs, singles, rare = (case.settings.get(key, 0) for key in ("pairs", "singles", "rare"))
    spacing = np.sqrt(np.prod(case.shape) / max(pairs + singles, 1))
    if case.settings.get("particles"):
        cells = draw_particles(pairs + singles, case.shape, (0.4 * spacing, 0.7 * spacing), rng)
    else:
        cells = draw_dense_grains(pairs + singles, case.shape, rng)
    maps = []
    for cell, row in zip(cells, rows, strict=False):
        # Lamellae across the row: one boundary or several.
        phase = np.tensordot(row[1::-1], np.indices(case.shape), 1) / (spacing * rng.uniform(0.3, 0.9))
        lamella = np.sin(2 * np.pi * (phase + rng.random())) > rng.uniform(-0.4, 0.4)
        maps += [cell * lamella, cell * ~lamella]
    small = draw_particles(rare, case.shape, (2.0, 3.4), rng) if rare else np.zeros((0, *case.shape))
    maps += list(cells[pairs:])
    host = 1 - rng.uniform(0.3, 1) * small.max(axis=0, initial=0)
    return np.stack([one * host for one in maps] + list(small))


def draw_background_maps(kinds: tuple[str, ...], covered: Array, rng: np.random.Generator) -> list[Array]:
    """The first kind lies everywhere, less under grains; vacuum replaces it in holes, a second kind lies in patches."""
    maps = [rng.uniform(0.35, 0.9) * (1 + 0.2 * draw_field(covered.shape, 0.25, rng)).clip(0.2)] if kinds else []
    for kind in kinds[:1]:
        maps[0] *= 1 - (kind != "vacuum") * rng.uniform(0.1, 0.8) * covered
    for kind in kinds[1:]:
        patches = draw_field(covered.shape, 0.12, rng)
        if kind == "vacuum":
            bare = covered < 0.3
            hole = gaussian_filter((bare & (patches > np.quantile(patches[bare], 0.5))).astype(float), 0.6)
            maps[0] *= 1 - hole
            maps.append(rng.uniform(0.7, 1.2) * hole)
        else:
            maps.append(rng.uniform(0.3, 0.8) * (patches - 0.4).clip(0, 1.2))
    return maps


def list_changes(kind: str, optics: Optics, rng: np.random.Generator) -> list[tuple[Array | None, Array, Array]]:
    """Tilt [radian], strain and shift of the pattern [px] at each level; one level where nothing changes."""
    still, none = np.zeros((2, 2)), np.zeros(2)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    if kind == "bend":
        # The excitation error of a reflection at 0.5 1/angstrom changes by 0.5 to 2 rocking widths from end to end.
        size = rng.uniform(0.5, 2) * optics.rocking / 0.5
        return [(level / 2 * size * direction, still, none) for level in LEVELS]
    if kind == "strain":
        tensor = np.eye(2) if rng.random() < 0.5 else np.outer(direction, direction)
        size = rng.uniform(0.005, 0.02)
        return [(None, level / 2 * size * tensor, none) for level in LEVELS]
    if kind == "beam drift":
        size, curved = rng.uniform(0.2, 1.5), rng.uniform(-0.2, 0.2)
        across = np.array([-direction[1], direction[0]])
        return [(None, still, size * (level / 2 * direction + curved * (level**2 - 1) * across)) for level in LEVELS]
    return [(None, still, none)]


def draw_components(case: Case, rng: np.random.Generator) -> list[Component]:
    """Maps and patterns of the crystals, then of the backgrounds."""
    optics = draw_optics(case, rng)
    kinds = case.settings.get("backgrounds", ())
    crystals, rows = draw_crystals(case, optics, rng)
    maps = draw_crystal_maps(case, rows, rng) if crystals else np.zeros((0, *case.shape))
    if kinds and not case.settings.get("particles"):
        extent = draw_field(case.shape, 0.15, rng)
        maps = maps * (extent < np.quantile(extent, rng.uniform(0.65, 0.9)))
    blur = rng.uniform(0.35, 1.3)
    maps = np.array([gaussian_filter(one, blur) * rng.uniform(0.7, 1.3) for one in maps]).reshape(maps.shape)
    bare = draw_background_maps(kinds, maps.sum(axis=0).clip(0, 1), rng)
    maps = maps * (1 + 0.15 * draw_field(case.shape, 0.3, rng)).clip(0.3)
    # Drift is common to all patterns; bend and strain belong to some grains, each in its own way.
    drifts = case.condition == "beam drift" or case.settings.get("drift", False)
    common = list_changes("beam drift" if drifts else "plain", optics, rng)
    drift = draw_change("beam drift", np.ones(case.shape), rng) if drifts else None
    share = rng.uniform(0.5, 1) if case.condition in ("bend", "strain") else 0
    components = []
    for number, ((g, strength), one) in enumerate(zip(crystals, maps, strict=True)):
        own = number == 0 or rng.random() < share
        changes = list_changes(case.condition, optics, rng) if own and share else common
        change = draw_change(case.condition, one, rng) if own and share else drift
        components.append(Component(one, render_crystal(g, strength, optics, rng, changes), change))
    shifts = [shift for _, _, shift in common]
    return components + [
        Component(one, render_background(kind, optics, rng, shifts), drift)
        for kind, one in zip(kinds, bare, strict=True)
    ]


def spread_weights(component: Component) -> Array:
    """The map (point, level) on the patterns of its family: linear interpolation between two levels."""
    if component.change is None:
        return component.map.reshape(-1, 1)
    at = (component.change.reshape(-1, 1) + 1) / 2 * (len(LEVELS) - 1)
    return np.asarray(component.map.reshape(-1, 1) * (1 - abs(at - np.arange(len(LEVELS)))).clip(0))


def is_sound(counts: Array, means: Array, least: int) -> bool:
    """Whether the components exist: maps [counts] (k, point) and mean patterns (k, pixel) as the rules ask for."""
    share = counts / counts.sum(axis=0).clip(1e-12)
    if counts.min() < 0 or (share >= 0.1).sum(axis=1).min() < least or counts.sum(axis=1).min() < 30:
        return False
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (counts, means)]
    cosines = units[1] @ units[1].T - np.eye(len(means))
    spectra = [np.linalg.svd(unit, compute_uv=False) for unit in units]
    return bool(cosines.max() < 0.97 and all(values[-1] > 1e-3 * values[0] for values in spectra))


def expect_counts(case: Case) -> tuple[Array, Array, Array]:
    """Expected counts (point, pixel), maps [counts] (k, point) and mean patterns (k, pixel) of the first sound draw."""
    for attempt in range(400):
        components = draw_components(case, np.random.default_rng(case.seed + attempt))
        weights = [spread_weights(one) for one in components]
        counts = np.stack([w @ one.patterns.sum(axis=1) for w, one in zip(weights, components, strict=True)])
        means = np.stack([w.sum(axis=0) @ one.patterns for w, one in zip(weights, components, strict=True)])
        scale = case.electrons / counts.sum(axis=0).mean()
        if is_sound(counts * scale, means, 8 if case.condition == "rare grains" else 25):
            break
    else:
        raise RuntimeError(f"{case.name}: no draw in which every component exists")
    expected = np.zeros((counts.shape[1], means.shape[1]), np.float32)
    for w, one in zip(weights, components, strict=True):
        expected += (scale * w).astype(np.float32) @ one.patterns.astype(np.float32)
    return expected, counts * scale, means


def simulate(case: Case) -> xr.Dataset:
    """PATTERNS of a case: ``intensity(scan_y, scan_x, qy, qx)`` [counts], drawn from Poisson distributions."""
    expected, _, _ = expect_counts(case)
    rng = np.random.default_rng([case.seed, 7])
    for row in expected:
        row[:] = rng.poisson(row)
    step = round(float(rng.uniform(1, 12)), 2)
    sizes = dict(zip(("scan_y", "scan_x", "qy", "qx"), (*case.shape, *case.detector), strict=True))
    coords = {
        dim: (dim, np.arange(size) * (step if "scan" in dim else 1.0), {"units": "nm" if "scan" in dim else "px"})
        for dim, size in sizes.items()
    }
    backgrounds = len(case.settings.get("backgrounds", ()))
    drifts = case.settings.get("drift", False)
    attrs = {
        "truth_n_components": case.n_components,
        "truth_n_crystals": case.n_components - backgrounds,
        "exactly_linear": int(case.condition not in ("bend", "strain", "beam drift") and not drifts),
    }
    intensity = (tuple(sizes), expected.reshape(tuple(sizes.values())), {"units": "counts"})
    return xr.Dataset({"intensity": intensity}, coords, attrs)


CASES = _list_cases()

if __name__ == "__main__":
    for case_ in CASES.values():
        start = time.perf_counter()
        scan = simulate(case_)
        mean = float(scan.intensity.sum(("qy", "qx")).mean())
        seconds = time.perf_counter() - start
        print(f"{case_.name:22} k={case_.n_components:2} {mean:8.1f} e {case_.shape} {case_.detector} {seconds:.1f} s")
