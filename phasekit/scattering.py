"""Electron scattering factors of the elements, from their X-ray factors by the Mott-Bethe relation."""

import re
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import SchemaError

Array = NDArray[np.float64]

MOTT_BETHE = 0.0239336609  # m e^2 / (8 pi eps0 h^2) [1/angstrom], for s = g / 2


def scattering_factor(element: str, s: ArrayLike) -> Array:
    r"""Electron scattering factor f_e [angstrom] (rest mass) at s = sin(theta) / wavelength = |g| / 2 [1/angstrom].

    The Mott-Bethe relation

    .. math:: f_e(s) = \frac{m e^2}{8 \pi \varepsilon_0 h^2} \, \frac{Z - f_x(s)}{s^2}, \qquad
              f_x(s) = \sum_i a_i \, e^{-b_i s^2} + c

    is applied to the X-ray factors of Waasmaier & Kirfel, which are valid to s = 6. Z is taken as the fit's own
    f_x(0), so that the limit s = 0 is finite.

    Parameters
    ----------
    element
        Symbol; charge and site number are ignored ("Fe3+" and "Fe1" are Fe).
    s
        Any shape, 1/angstrom.

    Raises
    ------
    SchemaError
        There is no such element in the table.

    See Also
    --------
    reflections : Structure factors of a crystal from these factors.

    References
    ----------
    Waasmaier and Kirfel, Acta Cryst. A51, 416 (1995).

    Examples
    --------
    >>> scattering_factor("Ni", [0.0, 0.25]).round(2)
    array([6.4 , 2.91])
    """
    a, b = _load_xray_coefficients(element)
    square = np.asarray(s, dtype=float)[..., None] ** 2
    x = b * square
    # expm1 keeps the precision where s is small and Z - f_x is a small difference.
    with np.errstate(invalid="ignore", divide="ignore"):
        decay = np.where(x > 1e-12, -np.expm1(-x) / np.where(x > 1e-12, x, 1.0), 1.0)
    return MOTT_BETHE * np.sum(a * b * decay, axis=-1)


@lru_cache(maxsize=128)
def _load_xray_coefficients(element: str) -> tuple[Array, Array]:
    """Coefficients a and b [angstrom^2] of the sum of Gaussians for one element."""
    from periodictable.cromermann import getCMformula

    letters = re.match(r"[A-Za-z]{1,2}", element.strip())
    symbol = letters.group().capitalize() if letters else ""
    # A site label such as "OW" starts with the symbol of its element.
    for name in (symbol, symbol[:1]):
        try:
            fit = getCMformula(name)
        except KeyError:
            continue
        return np.asarray(fit.a, dtype=float), np.asarray(fit.b, dtype=float)
    raise SchemaError(
        f"scattering_factor: no element '{element}' in the table of scattering factors, needs a chemical symbol. "
        "Write the symbol, as Fe or O, into the column _atom_site_type_symbol of the CIF."
    )
