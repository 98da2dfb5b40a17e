"""Colours of orientations: the place of a sample direction in the crystal's inverse pole figure."""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...code_cache import import_alone
from ...crystals import find_standard_group
from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...rotations import to_matrix
from ...schema import ORIENTATIONS, require
from ..symmetry import read_phases

Array = NDArray[np.float64]
Direction = Literal["x", "y", "z"]
Key = Literal["tsl", "cvd"]

_AXES: dict[str, tuple[float, float, float]] = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
#: Corners of the key for colour-vision deficiency: vermilion, yellow, blue (Okabe & Ito) stay apart for everybody.
_CVD_CORNERS = np.array([[0.835, 0.369, 0.0], [0.941, 0.894, 0.259], [0.0, 0.447, 0.698]])


@renamed_arguments(found="orientations")
def ipf_colours(orientations: xr.Dataset, *, direction: Direction = "z", ipf_key: Key = "tsl") -> xr.DataArray:
    r"""Colour of each pixel in the inverse pole figure of one sample direction.

    The sample direction v lies along the crystal direction

    .. math:: h = O \, v .

    Its symmetrically equivalent direction in the fundamental sector of the Laue group gives the colour. The corners of
    the sector have pure colours, and directions between them have mixtures.

    Parameters
    ----------
    orientations
        ORIENTATIONS; the best match is coloured, each phase in its own Laue group.
    direction
        Sample direction whose place in the crystal gives the colour: ``"z"`` is the beam (docs/conventions.md).
    ipf_key
        ``"tsl"``: red, green and blue corners, as everywhere in the field. ``"cvd"``: vermilion, yellow and blue
        corners, which differ for every kind of colour vision. They are mixed with the weights of the TSL key.

    Returns
    -------
    xarray.DataArray
        ``(scan_y, scan_x, rgb)``, 0..1; NaN where there is no orientation.

    Raises
    ------
    SchemaError
        Another kind of data, or an unknown ``direction`` or ``ipf_key``.

    See Also
    --------
    pole_figure : Crystal directions in the sample frame instead.
    label_grains : Grains of the same map.
    refine_orientations : Step before.

    References
    ----------
    Nolze & Hielscher, J. Appl. Cryst. 49, 1786 (2016), on keys; the TSL key is orix's.

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0]]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]]])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0]]])
    >>> cube = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> ipf_colours(cube).values.round(2).tolist()
    [[[1.0, 0.0, 0.0]]]
    """
    require(orientations, ORIENTATIONS, step="ipf_colours", argument="orientations")
    if direction not in _AXES or ipf_key not in ("tsl", "cvd"):
        raise SchemaError(
            f"ipf_colours: direction '{direction}', ipf_key '{ipf_key}'. Choose direction 'x', 'y' or 'z' and "
            "ipf_key 'tsl' or 'cvd'."
        )
    # Pixels are independent, so that lazy maps stay lazy.
    best = orientations["quaternion"].isel(match=0, drop=True)
    out = xr.apply_ufunc(
        _colour_pixels,
        best,
        orientations["phase"],
        kwargs={"axis": np.array(_AXES[direction]), "phases": read_phases(orientations), "key": ipf_key},
        input_core_dims=[["wxyz"], []],
        output_core_dims=[["rgb"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"rgb": 3}},
    )
    out.attrs = {"long_name": f"IPF-{direction} colour", "units": "1", "ipf_key": ipf_key}
    return out.rename("ipf_colour")


def _colour_pixels(quaternion: Array, phase: NDArray[Any], *, axis: Array, phases: list[Any], key: Key) -> Array:
    """Colours (..., rgb) of quaternions (..., wxyz), each phase in its own Laue group; NaN without an orientation."""
    out = np.full((*phase.shape, 3), np.nan)
    for index, crystal in enumerate(phases):
        here = (phase == index) & np.isfinite(quaternion).all(axis=-1)
        if here.any():
            out[here] = direction_colours(to_matrix(quaternion[here]) @ axis, crystal.point_group, key)
    return out


def direction_colours(vectors: Array, point_group: Any, key: Key = "tsl") -> Array:
    """Colours (n, 3) of crystal directions (n, 3) in the Laue group of ``point_group`` (an orix ``Symmetry``)."""
    import_alone("orix.quaternion.symmetry")
    from orix.plot import DirectionColorKeyTSL
    from orix.vector import Vector3d

    # The Laue group makes both senses of a direction equal: diffraction shows no more. The key is made for its axes.
    laue, turn = find_standard_group(point_group)
    tsl = np.asarray(DirectionColorKeyTSL(laue).direction2color(Vector3d(vectors @ turn.T)), dtype=float)
    tsl = tsl.reshape(-1, 3)
    if key == "tsl":
        return tsl
    # The shares of red, green and blue say how near the direction is to each corner of the sector.
    weights = tsl / tsl.sum(axis=1, keepdims=True)
    return np.clip(weights @ _CVD_CORNERS, 0, 1)
