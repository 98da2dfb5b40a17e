"""What the names of columns mean: energy, index, error, intensity, absorption, and what is beside a spectrum."""

import re

#: Kinds of absorption, the best first: normalised before raw, the sample before the reference foil.
ABSORPTIONS = (
    *(
        "norm",
        "normalized",
        "normalised",
        "flat",
        "flattened",
        "mutrans",
        "mu trans",
        "mu",
        "xmu",
        "normtrans",
        "normfluor",
    ),
    *(
        "mufluor",
        "mu fluor",
        "od",
        "optical density",
        "absorbance",
        "absorption",
        "absorbtion",
        "abs",
        "mu(e)",
        "xas",
        "nexafs",
    ),
)
FOIL_ABSORPTIONS = ("murefer", "normrefer", "muref")
INCIDENT = ("i0", "io", "i_0", "izero", "i zero", "incident", "incident intensity", "incoming", "i0 counts")
TRANSMITTED = ("it", "itrans", "i_t", "i1", "i trans", "transmitted")
_INTENSITIES = (
    *("iref", "irefer", "if", "ifluor", "ifl", "counts", "count", "monitor", "pmt", "apd", "tey", "tfy"),
    *("pfy", "ipfy", "diode", "photodiode", "channeltron", "detector", "det", "counter", "intensity", "signal", "mcp"),
)
_BESIDE = (
    *("time", "seconds", "second", "epoch", "elapsed", "date", "datetime", "timestamp", "dwell", "dwell time"),
    *("ring current", "ring", "srcurrent", "sr current", "beam current", "beamcurrent", "ringcurrent", "temperature"),
    *("angle", "theta", "bragg", "braggangle", "bragg angle", "energy loss", "gap", "integration time"),
    *("weight", "weights", "polarization", "polarisation", "phase of undulator", "harmonic", "pressure"),
)
_BACKGROUNDS = (
    *("bkg", "bkgd", "nbkg", "fbkg", "background", "baseline", "pre edge", "post edge", "preedge", "postedge"),
    *("der", "nder", "deriv", "derivative", "sec", "nsec", "second derivative", "dmu", "d2mu", "residual", "residuals"),
)
_FINE_STRUCTURE = ("chi", "chik", "chik2", "chik3", "win", "k", "chi mag", "chi re", "chi im", "chi pha", "chie")
_INDEX: tuple[str, ...] = (
    "index",
    "idx",
    "frame",
    "frames",
    "page",
    "pages",
    "slice",
    "point",
    "points",
    "pt",
    "pnt",
    "#",
    "unnamed 0",
)
_INDEX += ("data point", "datapoint", "frame number", "image", "image number", "point number", "scan point")
# These may name a spectrum as well; their values decide.
_WEAK_INDEX = ("", "n", "i", "no", "nr", "num", "number", "row", "line", "x", "count", "counts", "seq", "step", "z")
_FILLING = ("of", "in", "low", "high", "plus", "minus")
_ERRORS = (
    *("sigma", "err", "error", "errors", "std", "stdev", "stddev", "sd", "sem", "unc", "uncertainty", "uncert", "rms"),
    *("±", "+/-", "+-", "σ", "variance", "var", "errorbar", "stderr", "rmse", "fehler", "uncertainties", "noise"),
    *("upper", "lower", "ci", "dev"),
    *("errs", "yerr", "dy", "yer", "xer"),
)
# dA is an error of A; so are s_A, u_A and e_A, while SO and O are two substances.
_SHORT_ERRORS = re.compile(r"(?:d|delta|δ)[ _]?(.+)|(?:s|u|e)(?:[ _](.+)|\((.+)\))|(.+)[ _](?:e|s|u|d|se|n|npts)")
_SUMMARIES = ("mean", "average", "avg", "sum", "total", "median")
_ENERGIES = (
    *("e", "ev", "kev", "hv", "hν", "h nu", "hnu", "energy", "energies", "energie", "energia", "énergie", "energi"),
    *("photon energy", "photonenergy", "photonenergie", "x ray energy", "xray energy", "excitation energy", "mono"),
    *("monochromator", "mono energy", "monoenergy", "monochromator energy", "incident energy", "beam energy", "en"),
    *("ephot", "e photon", "energy axis", "photon energies"),
)
_MONOCHROMATOR = {"mono", "monochromator", "en", "energy", "ev", "photon", "beam", "beamline", "bl", "pgm", "sgm"}
_NO_ENERGY = ("offset", "shift", "resolution", "kinetic", "binding", "pass", "width", "delta", "loss", "step", "index")
_WAVES = (
    "wavelength",
    "wl",
    "wave length",
    "lambda",
    "λ",
    "wavenumber",
    "wave number",
    "wellenlänge",
    "longueur d'onde",
)
_UNIT = re.compile(
    r"(?:^|[\s_/,]|[(\[{<])\s*(?P<unit>kev|mev|ev|nm|angstroms?|å|a\^?-1|cm-1|cm\^-1|1/å|1/a)\s*[)\]}>]?\s*$",
    re.IGNORECASE,
)
_RECORDED = re.compile(r"\w\s*/\s*(s|ms|min|h|ma|°c|mbar)$|\w\s*[(\[](ms|ma|°c|mbar)[)\]]$", re.IGNORECASE)
#: Units that a row of units may hold.
_UNITS = re.compile(
    r"[(\[]?\s*(|-|1|a\.?\s?u\.?|arb\.?\s?u(nits?)?\.?|k?ev|nm|å|od|counts?|s|ms|ma|hz|cps|%|1/um|1/µm|1/nm|cm2/g|"
    r"cm\^2/g|cm-1|none|unitless|norm\.?|mb|mbarn|m2/g|barns?(/atom)?|#|points?)\s*[)\]]?",
    re.IGNORECASE,
)


def normalise_name(name: str) -> str:
    """Name in lower case without its unit, words apart by one blank.

    Examples
    --------
    >>> normalise_name("Photon_Energy (eV)"), normalise_name("dI0"), normalise_name("keV")
    ('photon energy', 'di0', 'kev')
    """
    base, _ = split_unit(name)
    # Most instruments name the counter after a dot or colon; underscores stand for blanks.
    return re.sub(r"[\s_.:\-]+", " ", base.lower().strip(" \"'()[]")).strip() or base.lower().strip()


def split_unit(name: str) -> tuple[str, str | None]:
    """Name and unit of a column; a name that is a unit alone stays.

    Examples
    --------
    >>> split_unit("Energy (keV)"), split_unit("E/eV"), split_unit("keV"), split_unit("Na3")
    (('Energy', 'keV'), ('E', 'eV'), ('keV', 'keV'), ('Na3', None))
    """
    text = name.strip().strip("\"'").strip()
    found = _UNIT.search(text)
    if found is None:
        return text, None
    base = text[: found.start()].strip(" _/,([{<")
    return (base or text.strip("()[]{} ")), found["unit"]


def rate_energy_name(name: str) -> int:
    """2 for a name of the photon energy itself, 1 for one that says more (set, readback, of what), 0 for others."""
    words = normalise_name(name)
    if words in _ENERGIES or words.rstrip("0123456789 ") in _ENERGIES[3:]:
        return 2 if words in _ENERGIES else 1
    parts = words.split()
    if re.fullmatch(r"(e|ev) ?\d+", words) or (len(parts) > 1 and set(parts) <= _MONOCHROMATOR):
        return 1
    if any(part in _NO_ENERGY or part in _ERRORS for part in parts):
        return 0
    if any("energ" in part and part.startswith(_NO_ENERGY) for part in parts):
        return 0
    # In any language: what is measured in eV and is none of the above.
    in_ev = (split_unit(name)[1] or "").lower() in ("ev", "kev")
    return int(in_ev or any("energ" in part or "énerg" in part or part in ("hv", "hν") for part in parts))


def is_energy_letter(name: str) -> bool:
    """Whether a name of energies may as well be that of a substance."""
    return bool(re.fullmatch(r"e\d*|en|mono", normalise_name(name))) and split_unit(name)[1] is None


def find_energy_owner(name: str) -> str | None:
    """What ``E_A`` or ``energy of A`` is the energy of; None for other names."""
    pattern = r"^(?:e|ev|energy|x|hv|photon energy)(?: of)? (.+)$|^(.+) (?:e|ev|energy|x)$"
    found = re.match(pattern, normalise_name(name))
    return (found[1] or found[2]) if found else None


def is_wave_name(name: str) -> bool:
    """Whether a column holds wavelengths or wavenumbers."""
    return strip_unit(name) in (*_WAVES, "nm", "å", "angstrom", "angstroms", "cm-1")


def is_angle_name(name: str) -> bool:
    """Whether a column holds angles of the monochromator."""
    return strip_unit(name) in ("angle", "theta", "θ", "bragg", "braggangle", "bragg angle", "mono angle", "mono theta")


def is_other_energy(name: str) -> bool:
    """Whether a column holds an energy that is not that of the photons, such as the kinetic energy."""
    parts = normalise_name(name).split()
    return any(p.startswith("energ") for p in parts) and any(p in _NO_ENERGY for p in parts)


def is_index_name(name: str) -> bool:
    """Whether a name can only be that of an index."""
    return normalise_name(name) in _INDEX or name.strip() == "#"


def strip_unit(name: str) -> str:
    """Name in lower case without any unit in brackets.

    Examples
    --------
    >>> strip_unit("Dwell (ms)"), strip_unit("I0 [counts]"), strip_unit("time/s")
    ('dwell', 'i0', 'time')
    """
    plain = re.sub(
        r"(?<=\w)\s*/\s*(s|ms|min|h|ma|a|v|k|°c|°|deg|degrees|counts|cps|hz)\s*$", "", name.strip(), flags=re.I
    )
    return normalise_name(re.sub(r"(?<=\S)\s*[(\[][^()\[\]]*[)\]]\s*$", "", plain))


def is_weak_index_name(name: str) -> bool:
    """Whether a name may be that of an index."""
    return normalise_name(name) in _WEAK_INDEX


def is_row_name(name: str) -> bool:
    """Whether a name is that of the numbers of rows or points, and not a letter alone."""
    return normalise_name(name) in ("no", "nr", "num", "number", "row", "line", "seq")


def is_beside(name: str) -> bool:
    """Whether a column is recorded beside spectra: time, ring current, angle."""
    # The letter t alone may be a transmission, and (s) a solid.
    recorded = bool(_RECORDED.search(name.strip())) and not is_intensity(name)
    return recorded or strip_unit(name) in _BESIDE or normalise_name(name) == "t/k"


def is_background(name: str) -> bool:
    """Whether a column is a background or a derivative of a spectrum."""
    return strip_unit(name) in _BACKGROUNDS


def is_fine_structure(name: str) -> bool:
    """Whether a column is the fine structure chi or its wavenumber."""
    return normalise_name(name) in _FINE_STRUCTURE


def is_transmission(name: str) -> bool:
    """Whether a column is what passes the sample, not what it absorbs."""
    parts = strip_unit(name).split()
    passing = any(part in ("transmission", "transmittance", "transmissivity") for part in parts)
    return normalise_name(name) in ("i/i0", "t", "it/i0") or (
        passing and not any(part in ABSORPTIONS for part in parts)
    )


def is_optical_constant(name: str) -> bool:
    """Whether a column is a scattering factor, a part of the refractive index, or a length of attenuation."""
    words = re.sub(
        r"^(atten|attenuation|penetration|absorption|extinction) (length|depth)$", "length", strip_unit(name)
    )
    return words in ("f1", "f2", "f'", "f''", "delta", "beta", "length")


def is_summary(name: str) -> bool:
    """Whether a column may be computed from others."""
    return normalise_name(name) in _SUMMARIES


def is_intensity(name: str) -> bool:
    """Whether a column is an intensity rather than an absorption."""
    words = strip_unit(name)
    return words in (*INCIDENT, *TRANSMITTED) or words.rstrip("0123456789 ") in _INTENSITIES


def is_unit(text: str) -> bool:
    """Whether a field of a header holds a unit, or nothing."""
    return bool(_UNITS.fullmatch(text.strip()))


def find_error_owner(name: str, others: list[str]) -> tuple[bool, str | None]:
    """Whether a name has a word for errors, and the column whose error it is ("" for the name before it)."""
    text = re.sub(r"(standard|std)[\s_.]*(deviation|dev|error)", "stddev", name.lower().strip())
    if re.fullmatch(r"var\d+", text) and all(re.fullmatch(r"[Vv]ar\d+", other) for other in others):
        return False, None  # the names that Matlab gives to columns without any
    parts = _split_words(re.sub(r"±|\+/-|\+-|σ", " sigma ", text))
    errors = [(re.sub(r"\d+$", "", part) or part) in _ERRORS for part in parts]
    rest = "".join(p for p, is_error in zip(parts, errors, strict=True) if not is_error and p not in _FILLING)
    ways = [(way, other) for other in others if other != name for way in (other, split_unit(other)[0])]
    known = {"".join(_split_words(way)): other for way, other in ways}
    if any(errors):
        return True, known.get(rest) if rest else ""
    short = _SHORT_ERRORS.fullmatch(text)
    base = "".join(_split_words(next(filter(None, short.groups())))) if short else ""
    owner = known.get(base) if base else None
    return owner is not None, owner


def _split_words(name: str) -> list[str]:
    return [part for part in re.split(r"[\s_.:()\[\]+\-]+", name.lower()) if part]
