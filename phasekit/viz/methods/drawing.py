"""One drawing for each method, chosen by name."""

from typing import TYPE_CHECKING, Literal

from phasekit.errors import SchemaError

from .acom import draw_acom
from .nmf import draw_nmf
from .stxm import draw_stxm
from .virtual import draw_virtual

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWINGS = {"stxm": draw_stxm, "nmf": draw_nmf, "acom": draw_acom, "virtual": draw_virtual}


def method_figure(method: Literal["stxm", "nmf", "acom", "virtual"]) -> "Figure":
    """Drawing of a method: from the beam to the map in three steps. Nothing in it is measured.

    Parameters
    ----------
    method
        ``"stxm"``, ``"nmf"``, ``"acom"`` or ``"virtual"``.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels with words; its label describes them for readers who do not see it.

    Raises
    ------
    SchemaError
        There is no drawing of that name.

    See Also
    --------
    panels : Makes figures.

    Examples
    --------
    >>> [axis.get_title() for axis in method_figure("stxm").axes]
    ['1. Measure', '2. Compare', '3. Label']
    """
    if method not in _DRAWINGS:
        raise SchemaError(f"method_figure: there is no drawing {method!r}, needs one of {', '.join(_DRAWINGS)}.")
    return _DRAWINGS[method]()
