"""Kinds of datasets of fits with reference spectra: the fit itself, and the forecast of its errors."""

from .core import ANY, Schema, Variable
from .stxm import OFFSET_CERTAINTY

_SCAN = ("scan_y", "scan_x")
# A planned scan: its number of energies and its dose.
_CASE = ("n_energies", "photons")


def _needed(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _optional(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


REFERENCE_FIT = Schema(
    "REFERENCE_FIT",
    (
        _needed("amount", (*_SCAN, "reference"), ANY, "amount of the reference"),
        _needed("amount_error", (*_SCAN, "reference"), ANY, "standard error of the amount"),
        _needed("fraction", (*_SCAN, "reference"), "1", "share of the reference in all amounts"),
        _needed("baseline", _SCAN, "1", "constant in optical density"),
        _needed("residual", _SCAN, "1", "root mean square residual in optical density"),
        _needed("chi_square", _SCAN, "1", "chi-square per degree of freedom"),
        _optional("unexplained", _SCAN, "1", "the residual exceeds what noise leaves"),
        # Optional, because it is as large as the square of the references.
        _optional("amount_covariance", (*_SCAN, "reference", "other_reference"), ANY, "covariance of the amounts"),
        _optional("baseline_slope", _SCAN, "1", "slope of the baseline over the energy range"),
        # Only where the fit determined it; otherwise the references are taken as calibrated.
        _optional("energy_offset", (), "eV", "energy added to the data's scale to reach the references'"),
        _optional("energy_offset_error", (), "eV", "standard error of the energy offset"),
        *OFFSET_CERTAINTY,
    ),
    "pk.stxm.fit_references",
)
FORECAST = Schema(
    "FORECAST",
    (
        _needed("error_rate", (*_CASE, "reference"), "1", "share of pixels of this phase that get another name"),
        _needed("pair_error", (*_CASE, "reference", "other_reference"), "1", "error rate between two phases alone"),
        _needed("amount_error", (*_CASE, "reference"), ANY, "standard error of the amount"),
        _needed("share_error", _CASE, "1", "standard error of the share in a mixture of two phases"),
        # A slot beyond the number of energies is NaN.
        _needed("energy_choice", ("n_energies", "slot"), "eV", "energies to measure"),
        _optional("scan_time", _CASE, "s", "dwell times of all pixels and energies"),
    ),
    "pk.stxm.predict_errors",
)
