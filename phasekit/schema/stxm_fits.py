"""Kinds of datasets around fits with references: the fit itself, and what it will be able to tell."""

from .core import ANY, Schema, Variable

_SCAN = ("scan_y", "scan_x")
_CASE = ("n_energies", "photons")


def _v(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name)


def _o(name: str, dims: tuple[str, ...], units: str, long_name: str) -> Variable:
    return Variable(name, dims, units, long_name, optional=True)


REFERENCE_FIT = Schema(
    "REFERENCE_FIT",
    (
        _v("amount", (*_SCAN, "reference"), ANY, "amount of the reference"),
        _v("amount_error", (*_SCAN, "reference"), ANY, "standard error of the amount"),
        _v("fraction", (*_SCAN, "reference"), "1", "share of the reference in all amounts"),
        _v("baseline", _SCAN, "1", "constant in optical density"),
        _v("residual", _SCAN, "1", "root mean square residual in optical density"),
        _v("chi_square", _SCAN, "1", "chi-square per degree of freedom"),
        _o("unexplained", _SCAN, "1", "the residual exceeds what noise leaves"),
        _o("amount_covariance", (*_SCAN, "reference", "other_reference"), ANY, "covariance of the amounts"),
        _o("baseline_slope", _SCAN, "1", "slope of the baseline over the energy range"),
        _o("energy_offset", (), "eV", "energy added to the data's scale to reach the references'"),
        _o("energy_offset_error", (), "eV", "standard error of the energy offset"),
    ),
    "pk.stxm.fit_references",
)
FORECAST = Schema(
    "FORECAST",
    (
        _v("error_rate", (*_CASE, "reference"), "1", "share of pixels of this phase that get another name"),
        _v("pair_error", (*_CASE, "reference", "other_reference"), "1", "error rate between two phases alone"),
        _v("amount_error", (*_CASE, "reference"), ANY, "standard error of the amount"),
        _v("share_error", _CASE, "1", "standard error of the share in a mixture of two phases"),
        _v("energy_choice", ("n_energies", "slot"), "eV", "energies to measure"),
        _o("scan_time", _CASE, "s", "dwell times of all pixels and energies"),
    ),
    "pk.stxm.predict_errors",
)
