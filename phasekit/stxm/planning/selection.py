"""Selection of the energies to measure: the few that tell the references apart best."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import REFERENCES, describe, require
from ..reference_spectra.library import Library, build_library
from .candidates import Candidates, check_room, select_candidates
from .design import (
    KNOWN_SCALE,
    UNCERTAIN_SCALE,
    DesignModels,
    PixelBackground,
    build_designs,
    compute_score,
    find_peak_absorption,
)
from .exchange import find_best_choice

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Criterion = Literal["shares", "amounts"]

_STATED_NOISE = 0.01  # optical density, for the errors that are stated with a choice


def select_energies(  # noqa: PLR0913  settings, keyword-only
    refs: xr.Dataset,
    n: int = 8,
    *,
    min_spacing_ev: float = 0.5,
    slope: bool = False,
    offset_robust: bool = True,
    energy_range: tuple[float, float] | None = None,
    criterion: Criterion = "shares",
    peak_od: float = 1.0,
    include: Sequence[float] = (),
    pre_edge: bool = True,
) -> xr.DataArray:
    r"""Select the energies at which shares or amounts of the references are known best.

    The linear model of a pixel contains the references and a constant. The constant asks for an energy where all
    references absorb alike, before the edge or in the dip behind it. With ``slope`` it also contains a linear
    background, which asks for such an energy on either side. The noise is that of counted photons. One energy at a time
    is exchanged for the best other one (Fedorov) until nothing improves, from ten starts.

    Parameters
    ----------
    refs
        REFERENCES; their energies are the candidates.
    n
        Number of energies. The least is references + 1 for the constant, + 1 with ``slope``, + 1 with
        ``offset_robust``. An energy offset shows only in the residual of a fit, so it takes an energy of its own. Four
        energies thus hold two references, a constant and the offset. Three references fit into four energies with
        ``offset_robust=False``, and then the offset cannot be checked. More energies make a fit that can fail, so that
        unknown phases are seen.
    min_spacing_ev
        Least distance of chosen energies [eV]. Below the resolution of the beamline two points are one.
    slope
        Whether a pre-edge background that is not flat is fitted too, as by ``fit_references(slope=True)``.
    offset_robust
        Whether the choice stays good when the energy scale is off by some tenths of an eV. The criterion is then the
        mean over offsets of -0.3, 0, 0.3 eV with weights 1/6, 2/3, 1/6. They stand for a normal error of 0.17 eV.
    energy_range
        Candidates only from this range [eV].
    criterion
        "shares" or "amounts".

        - "shares": least mean variance of the share of one reference in a mixture of two. The mean is over all pairs
          and mixing ratios. Phase maps need this.
        - "amounts": D-optimal. The largest determinant of the information on all amounts together, with the background
          eliminated.

        With one reference both mean its amount.
    peak_od
        Optical density of a typical pixel where the references peak on average. Noise grows as exp(OD / 2), so thick
        pixels are measured better beside a strong peak than on it. 0.01 stands for equal noise everywhere.
    include
        Energies [eV] that must be chosen. The nearest candidates are taken.
    pre_edge
        Whether one energy must lie at least 2 eV before the edge. It applies only when ``n`` exceeds the least number.
        It costs little and shows what else absorbs. With the least number the constant is measured where that is
        cheapest, which need not be there.

    Returns
    -------
    xarray.DataArray
        Energies [eV] on ``energy``, ascending. Its attributes are

        - ``amount_error``: for noise 0.01 in OD, the geometric mean standard error of an amount. All amounts are fitted
          together;
        - ``share_error``: for the same noise and ``peak_od``, the standard error of a share in a mixture of two. Absent
          with one reference;
        - ``evenly_spaced_error`` and ``evenly_spaced_share_error``: the same for evenly spread energies;
        - ``provenance``.

    Raises
    ------
    SchemaError
        ``n`` is too small for the terms, or the range cannot hold ``n`` energies with this spacing. Or a setting is out
        of its range.

    See Also
    --------
    select_energies_from_scan : Choose with the help of a coarse scan.
    allocate_dwell : The next step: divide the dwell time.
    predict_errors : Predict errors for numbers of energies.

    Notes
    -----
    For model columns :math:`x_e` and weights :math:`w_e = 1/\sigma_e^2` the information matrix of a choice is

    .. math:: M = \sum_e w_e \, x_e x_e^T, \quad V = M^{-1}.

    V is the Cramer-Rao bound on the covariance of the fitted terms. D-optimal designs minimise :math:`\ln \det V_{aa}`
    of the amounts a. For shares :math:`\mathrm{trace}(T V)` is minimised, the mean variance of f over the mixtures (f,
    1 - f).

    On the public Fe 2p stack the oxidised fraction from n energies was compared with that from all 123. Single pixels
    with more than half the iron of the thickest were used. With 4, 6, 8 energies r = 0.972, 0.974, 0.983. Noise alone
    would leave 0.984, 0.985, 0.989. "amounts" gives 0.937, 0.951, 0.946, and 4 evenly spread energies 0.74. Over the
    authors' mask, most of which holds little iron, r = 0.89, 0.91, 0.93 (noise alone: 0.94, 0.95, 0.96). Means of 3 x 3
    pixels give 0.96, 0.96, 0.98. Of five vanadium phases at 500 photons 8 energies confuse 7 % of the pixels. "amounts"
    confuses 9 %, evenly spread energies 54 %.

    References
    ----------
    Fedorov, Theory of Optimal Experiments (1972); Pukelsheim, Optimal Design of Experiments (2006), chapters 4, 6.

    Examples
    --------
    >>> energy = np.arange(510.0, 530.0, 0.5)
    >>> edge = lambda centre: np.exp(-((energy - centre) ** 2) / 4) + 0.5 / (1 + np.exp(centre - energy))
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [edge(516), edge(518)])},
    ...                   coords={"energy": ("energy", energy, {"units": "eV"}), "reference": ["V3", "V4"]})
    >>> chosen = select_energies(refs, 5, min_spacing_ev=1.0, include=[512.0])
    >>> chosen.sizes["energy"], bool(chosen.diff("energy").min() >= 1.0), 512.0 in chosen
    (5, True, True)
    """
    require(refs, REFERENCES, step="select_energies", argument="refs")
    _check_settings(criterion, peak_od)
    library = build_library(refs, refs["energy"], step="select_energies", n_nuisance=0)
    candidates = select_candidates(library.energies, energy_range, include, min_spacing_ev, step="select_energies")
    check_room(candidates, n, len(library.names), 1 + slope + offset_robust, step="select_energies")
    designs = build_designs(
        library,
        candidates.energies,
        UNCERTAIN_SCALE if offset_robust else KNOWN_SCALE,
        background=PixelBackground(slope),
        criterion=criterion,
        peak_od=peak_od,
    )
    chosen = choose_energies(designs, candidates, n, step="select_energies")
    # A pre-edge energy must not displace one that the fit needs.
    spare = n - max(len(library.names) + 1 + slope + offset_robust, candidates.fixed.size)
    if pre_edge and spare > 0:
        chosen = _include_pre_edge(designs, candidates, chosen, _find_pre_edge_candidates(library, candidates))
    settings: dict[str, Any] = {"n": n, "min_spacing_ev": min_spacing_ev, "slope": slope, "pre_edge": pre_edge}
    settings |= {"energy_range": energy_range, "criterion": criterion, "peak_od": peak_od, "include": list(include)}
    settings["offset_robust"] = offset_robust
    attrs = _compute_error_attributes(library, candidates.energies, chosen, slope, peak_od)
    return label_energies(candidates.energies[chosen], attrs, step="select_energies", settings=settings, source=refs)


def _check_settings(criterion: str, peak_od: float) -> None:
    """Refuse an unknown criterion, or a thickness out of range."""
    if criterion not in ("shares", "amounts"):
        raise SchemaError(
            f"select_energies: criterion={criterion!r}, needs 'shares' or 'amounts'. Use 'shares' for phase maps."
        )
    if not 0 < peak_od < 20:
        raise SchemaError(f"select_energies: peak_od={peak_od}, needs an optical density above 0. Take 1.")


def choose_energies(designs: DesignModels, candidates: Candidates, n: int, *, step: str) -> Index:
    """Choose the indices of the best candidates, ascending; refuse limits that cannot be kept."""
    chosen = find_best_choice(designs, candidates.energies, n, candidates.spacing, candidates.fixed)
    if chosen is None:
        energies = candidates.energies
        raise SchemaError(
            f"{step}: {energies.size} candidates over {float(np.ptp(energies)):g} eV hold no {n} that are "
            f"{candidates.spacing:g} eV apart. Lower n or min_spacing_ev, or widen energy_range."
        )
    return chosen


def _find_pre_edge_candidates(library: Library, candidates: Candidates) -> Index:
    """Find candidates at least 2 eV before the edge and far enough from the fixed ones.

    The edge begins where the mean reference leaves its lowest level by a twentieth, on the way to its peak.
    """
    # The mean reference, since the edge must not depend on one phase.
    mean = library.at(library.energies).mean(axis=0)
    rise = mean[: int(mean.argmax()) + 1]
    low = np.flatnonzero(rise <= rise.min() + 0.05 * (rise.max() - rise.min()))
    energies, fixed = candidates.energies, candidates.energies[candidates.fixed]
    # Fixed energies keep their distance, so their neighbours are no candidates.
    apart = (np.abs(energies[:, None] - fixed) >= candidates.spacing - 1e-9).all(axis=1)
    return np.flatnonzero(apart & (energies <= library.energies[low[-1]] - 2.0))


def _include_pre_edge(designs: DesignModels, candidates: Candidates, chosen: Index, before: Index) -> Index:
    """Choose again around the last candidate ``before`` the edge, if the choice holds none of them."""
    if before.size == 0 or chosen[0] <= before[-1]:
        return chosen
    fixed = np.union1d(candidates.fixed, before[-1:])
    # The other energies are chosen anew: one of them may now be redundant.
    again = find_best_choice(designs, candidates.energies, chosen.size, candidates.spacing, fixed)
    return chosen if again is None else again


def _compute_error_attributes(
    library: Library, energies: Array, chosen: Index, slope: bool, peak_od: float
) -> dict[str, Any]:
    """Compute errors at this choice and at evenly spread energies, for OD noise of 0.01 at every energy."""
    # Evenly spread energies are the usual plan, and the measure of what the choice gains.
    even = np.unique(np.linspace(0, energies.size - 1, chosen.size).round().astype(int))
    # Equal noise at all energies, so that errors of different choices can be compared with each other.
    flat = np.full(energies.size, _STATED_NOISE**2)
    settings: dict[str, Any] = {"background": PixelBackground(slope), "peak_od": peak_od, "variance": flat}
    amounts = build_designs(library, energies, KNOWN_SCALE, criterion="amounts", **settings)
    # The score is the log determinant of n amounts in units of a typical pixel: its n-th root is a geometric mean.
    unit = peak_od / find_peak_absorption(library, energies)
    n = len(library.names)
    errors = [unit * float(np.exp(compute_score(amounts, index) / (2 * n))) for index in (chosen, even)]
    stated = {"amount_error": errors[0], "evenly_spaced_error": errors[1]}
    if n > 1:
        shares = build_designs(library, energies, KNOWN_SCALE, criterion="shares", **settings)
        errors = [float(np.sqrt(compute_score(shares, index))) for index in (chosen, even)]
        stated |= {"share_error": errors[0], "evenly_spaced_share_error": errors[1]}
    return stated


def label_energies(
    energies: Array, attrs: dict[str, Any], *, step: str, settings: dict[str, Any], source: xr.Dataset
) -> xr.DataArray:
    """Label the chosen energies with units, attributes and provenance."""
    # A DataArray is no kind of the schema; its provenance is made as for a dataset.
    record = describe(source, REFERENCES, step=step, settings=settings, source=source).attrs["provenance"]
    full = {"units": "eV", "long_name": "energies to measure", **attrs, "provenance": record}
    coordinate = ("energy", energies, {"units": "eV"})
    return xr.DataArray(energies, dims="energy", coords={"energy": coordinate}, name="energy", attrs=full)
