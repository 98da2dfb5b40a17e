"""From components to crystals: component patterns are matched as measured ones, and the answers come back as a map."""

import numpy as np
import xarray as xr

from ...deprecation import renamed_arguments
from ...errors import AcomStatus, SchemaError, status_attributes
from ...schema import COMPONENT_CRYSTALS, FACTORS, ORIENTATIONS, PATTERNS, describe, require
from .overlap import choose_background, find_overlap

_PER_POINT = ("quaternion", "correlation", "phase", "reliability", "phase_reliability", "status")


def component_patterns(factors: xr.Dataset) -> xr.Dataset:
    """Give the pattern of every component as a scan of one line, ready for peak finding and matching.

    Parameters
    ----------
    factors
        FACTORS. Where the grains' patterns hold background, :func:`separate_background` first gives cleaner spots. A
        beam that drifts by more than a pixel over the scan broadens spots and splits grains. Factorise the patterns of
        ``pk.acom.reconstruct_patterns(peaks)`` then, which are centred.

    Returns
    -------
    xarray.Dataset
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` with one ``scan_y`` and a ``scan_x`` for each component. It is
        the brightest image of the component, pattern times its largest loading [counts]; 0 where the detector was
        masked. The direct beam is masked as a rule. Where :func:`find_detector_mask` has found it, ``qy`` and ``qx``
        are 0 there, so that peaks are calibrated with ``pk.acom.calibrate_peaks(peaks, origin=None)``.

    Raises
    ------
    SchemaError
        Not FACTORS.

    See Also
    --------
    separate_background : Clean the patterns first.
    phasekit.acom.find_peaks : The next step.
    component_orientations : What the matching says of every component.
    group_crystals : Which components are one crystal.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(6, 6), detector=(32, 32))
    >>> dict(component_patterns(pk.nmf.truth_as_factors(scan)).intensity.sizes)
    {'scan_y': 1, 'scan_x': 3, 'qy': 32, 'qx': 32}
    """
    require(factors, FACTORS, step="component_patterns", argument="factors")
    brightest = factors["factor"] * factors["loading"].max(("scan_y", "scan_x"))
    image = brightest.fillna(0.0).rename(component="scan_x").expand_dims("scan_y").astype(np.float32)
    image = image.drop_vars(["scan_y", "scan_x"], errors="ignore")
    n = image.sizes["scan_x"]
    out = xr.Dataset({"intensity": image.transpose("scan_y", "scan_x", "qy", "qx").assign_attrs(units="counts")})
    out = out.assign_coords(
        scan_y=("scan_y", [0.0], {"units": "px"}), scan_x=("scan_x", np.arange(float(n)), {"units": "px"})
    )
    # Positions are relative to the direct beam where its place is known: peaks then need no search for an origin.
    for axis in ("qy", "qx"):
        beam = float(factors.attrs.get(f"beam_{axis}_px", np.nan))
        if axis in out.coords and np.isfinite(beam):
            centre = float(np.interp(beam, np.arange(out.sizes[axis]), out[axis]))
            out = out.assign_coords({axis: (axis, out[axis].to_numpy() - centre, dict(out[axis].attrs))})
    return describe(out, PATTERNS, step="component_patterns", settings={}, source=factors)


@renamed_arguments(found="orientations")
def component_orientations(factors: xr.Dataset, orientations: xr.Dataset) -> xr.Dataset:
    """Give phase, orientation and reliability of every component.

    Parameters
    ----------
    factors
        FACTORS.
    orientations
        ORIENTATIONS of their :func:`component_patterns` (``pk.acom.match_orientations``).

    Returns
    -------
    xarray.Dataset
        COMPONENT_CRYSTALS by ``component``. ``phase``: index into attrs["phases"], -1 where nothing was indexed.
        ``quaternion`` of the best match. ``correlation``, ``reliability``, ``phase_reliability``: NaN without a match.
        ``status`` as in ORIENTATIONS. ``explained`` where the factors hold it.

    Raises
    ------
    SchemaError
        Not FACTORS or ORIENTATIONS, or not one solution for each component.

    See Also
    --------
    component_patterns : The patterns that are matched.
    phasekit.acom.match_orientations : The matching.
    map_component_orientations : The same on the scan.

    Examples
    --------
    >>> line = ("scan_y", "scan_x")
    >>> data = {name: (line, [[0, -1]]) for name in ("phase", "status")}
    >>> data |= {name: (line, [[20.0, np.nan]]) for name in ("reliability", "phase_reliability")}
    >>> data["quaternion"] = ((*line, "match", "wxyz"), np.array([[[[1.0, 0, 0, 0]], [[np.nan] * 4]]]))
    >>> data["correlation"] = ((*line, "match"), [[[0.9], [np.nan]]])
    >>> ones = np.ones((2, 3, 3))
    >>> factors = xr.Dataset(
    ...     {"loading": (("component", *line), ones), "factor": (("component", "qy", "qx"), ones)}
    ... )
    >>> component_orientations(factors, xr.Dataset(data, attrs={"phases": "[]"})).phase.values
    array([ 0, -1])
    """
    line = _get_solutions(factors, orientations, "component_orientations")
    # Only the best match of each component: the others belong to the matching, not to the component.
    best = {
        name: line[name].isel(match=0, drop=True) if "match" in line[name].dims else line[name] for name in _PER_POINT
    }
    out = xr.Dataset(best).assign_coords(component=np.arange(factors.sizes["component"]))
    if "explained" in factors:
        out["explained"] = ("component", factors["explained"].to_numpy())
    out.attrs["phases"] = orientations.attrs["phases"]
    return describe(out, COMPONENT_CRYSTALS, step="component_orientations", settings={}, source=orientations)


@renamed_arguments(found="orientations")
def map_component_orientations(
    factors: xr.Dataset, orientations: xr.Dataset, *, background: int | None = None, min_weight: float = 0.1
) -> xr.Dataset:
    """Make an orientation map from components: every scan point takes the crystal of its dominant component.

    Components that are the same crystal (two parts of one bent grain) come out as one grain of
    ``pk.acom.label_grains``.

    Parameters
    ----------
    factors
        FACTORS.
    orientations
        ORIENTATIONS of their :func:`component_patterns`.
    background
        As in :func:`find_overlap`; its points are vacuum. A grain without strong spots can be proposed as background.
        Look at the patterns, and give -1 where every component is a grain.
    min_weight
        A point whose dominant component has less than this share of its own largest weight is vacuum. Beyond the
        specimen some component is always the strongest. 0 keeps every point.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS on the scan of the factors, and ``component(scan_y, scan_x)``, the dominant component (-1: none).

    Raises
    ------
    SchemaError
        As :func:`component_orientations`.

    See Also
    --------
    component_orientations : The same by component.
    find_overlap : The dominant component, and a second one.
    phasekit.acom.label_grains : Grains of the map.

    Examples
    --------
    >>> line = ("scan_y", "scan_x")
    >>> data = {name: (line, [[0, 0]]) for name in ("phase", "status")}
    >>> data |= {name: (line, [[20.0, 30.0]]) for name in ("reliability", "phase_reliability")}
    >>> data["quaternion"] = ((*line, "match", "wxyz"), np.array([[[[1.0, 0, 0, 0]], [[0.0, 1.0, 0, 0]]]]))
    >>> data["correlation"] = ((*line, "match"), [[[0.9], [0.8]]])
    >>> maps, patterns = np.array([[[1.0, 0.2]], [[0.1, 0.7]]]), np.eye(2).reshape(2, 1, 2)
    >>> factors = xr.Dataset(
    ...     {"loading": (("component", *line), maps), "factor": (("component", "qy", "qx"), patterns)}
    ... )
    >>> found = map_component_orientations(factors, xr.Dataset(data, attrs={"phases": "[]"}), background=-1)
    >>> found.component.values, found.correlation.values.ravel()
    (array([[0, 1]]), array([0.9, 0.8]))
    """
    line = _get_solutions(factors, orientations, "map_component_orientations")
    chosen = choose_background(factors, background, "map_component_orientations")
    label = find_overlap(factors, background=chosen)["label"].compute()
    is_vacuum = (label < 0) | (label == chosen) | _is_faint(factors["loading"], label, min_weight)
    # Where nothing is the label, component 0 stands in until its values are replaced below.
    spread = line[list(_PER_POINT)].isel(component=label.clip(min=0)).drop_vars("component", errors="ignore")
    out = spread.where(~is_vacuum)
    out["phase"] = spread["phase"].where(~is_vacuum, -1).astype(orientations["phase"].dtype)
    out["status"] = spread["status"].where(~is_vacuum, AcomStatus.VACUUM.value).astype(orientations["status"].dtype)
    out["status"].attrs = status_attributes(AcomStatus)
    out["component"] = label.where(~is_vacuum, -1).assign_attrs(long_name="dominant component", units="1")
    # Indexing by component has put its dimensions in front: back to the order of ORIENTATIONS.
    dims = {name: tuple(d for d in ("scan_y", "scan_x", "match", "wxyz") if d in out[name].dims) for name in out}
    out = xr.Dataset({name: out[name].transpose(*dims[name]) for name in out})
    out = out.assign_coords({d: factors[d] for d in ("scan_y", "scan_x") if d in factors.coords})
    out.attrs["phases"] = orientations.attrs["phases"]
    settings = {"background": background, "chosen": chosen, "min_weight": min_weight}
    return describe(out, ORIENTATIONS, step="map_component_orientations", settings=settings, source=orientations)


def _is_faint(loading: xr.DataArray, label: xr.DataArray, min_weight: float) -> xr.DataArray:
    """Points where the dominant component is weak beside its own largest weight, (scan_y, scan_x)."""
    # Relative to each component's own largest weight: the scale between map and pattern is arbitrary.
    share = (loading / loading.max(("scan_y", "scan_x"))).compute()
    return share.isel(component=label.clip(min=0)).drop_vars("component", errors="ignore") < min_weight


def _get_solutions(factors: xr.Dataset, orientations: xr.Dataset, step: str) -> xr.Dataset:
    """The solutions along ``component``, checked to be one for each."""
    require(factors, FACTORS, step=step, argument="factors")
    require(orientations, ORIENTATIONS, step=step, argument="orientations")
    sizes = orientations.sizes["scan_y"], orientations.sizes["scan_x"]
    if sizes != (1, factors.sizes["component"]):
        raise SchemaError(
            f"{step}: the orientations are a map of {sizes}, needs (1, {factors.sizes['component']}), one for each "
            "component. Match the peaks of pk.nmf.component_patterns(factors)."
        )
    row = orientations.isel(scan_y=0, drop=True).drop_vars("scan_x", errors="ignore")
    return row.rename(scan_x="component").compute()
