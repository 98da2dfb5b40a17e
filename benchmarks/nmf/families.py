"""The simulated scans on which rules for k are compared: one family for tuning, one for the comparison alone.

Three generators x twelve conditions; the families differ in their seeds and in the number of components of every case.
"""

from dataclasses import dataclass, field

import xarray as xr

import phasekit as pk

from .generators import simulate_particles, simulate_precipitates

GENERATORS = {
    "grains": pk.synthetic.overlapping_grains,
    "particles": simulate_particles,
    "precipitates": simulate_precipitates,
}
#: Electrons per pattern and what else is different. "rare": an abundance of about 1 % of the scan.
CONDITIONS: dict[str, dict[str, float]] = {
    "clean": {"dose": 20000},
    "low dose": {"dose": 2000},
    "very low dose": {"dose": 500},
    "starved": {"dose": 200},
    "overlap": {"dose": 4000, "overlap": 1.8, "boundary_width": 4},
    "tilt": {"dose": 4000, "bend": 0.1},
    "strong tilt": {"dose": 4000, "bend": 0.3},
    "hot pixels": {"dose": 2000, "hot_pixels": 20},
    "background": {"dose": 4000, "background": 0.6, "direct_beam": 0.1},
    "rare": {"dose": 4000, "smallest": 0.01},
    "alike": {"dose": 4000, "twins": 0.5},
    "no beam": {"dose": 2000, "direct_beam": 0.05},
}
_ONLY = {  # settings that one generator alone knows
    "overlap": ("particles",),
    "boundary_width": ("grains",),
    "smallest": ("precipitates",),
    "twins": ("particles", "precipitates"),
}


@dataclass(frozen=True)
class Case:
    """One simulated scan."""

    name: str
    generator: str
    condition: str
    n_components: int  # grains, particles or crystals; the background is one more
    seed: int
    settings: dict[str, float] = field(default_factory=dict)


def _list_cases(first_seed: int, counts: dict[str, tuple[int, ...]]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for g, generator in enumerate(GENERATORS):
        for c, (condition, settings) in enumerate(CONDITIONS.items()):
            for repeat, numbers in enumerate(counts.values()):
                n = numbers[(c + g) % len(numbers)]
                known = {k: v for k, v in settings.items() if generator in _ONLY.get(k, (generator,))}
                name = f"{generator}_{condition.replace(' ', '_')}_{first_seed + repeat}"
                cases[name] = Case(name, generator, condition, n, first_seed + 100 * c + 10 * g + repeat, known)
    return cases


TUNING = _list_cases(1000, {"few": (3, 6, 9, 14), "many": (11, 4, 7)})
HELD_BACK = _list_cases(7000, {"few": (2, 5, 8, 12), "many": (9, 13, 3, 6, 10)})
CASES = TUNING | HELD_BACK


def simulate_case(case: Case) -> xr.Dataset:
    """PATTERNS of a case, with its truth."""
    build = GENERATORS[case.generator]
    size = {"shape": (56, 60), "detector": (64, 64)}
    return build(n_components=case.n_components, seed=case.seed, **size, **case.settings)


def true_rank(scan: xr.Dataset) -> int:
    """Components of the truth, background included."""
    return int(scan.attrs["truth_n_components"])
