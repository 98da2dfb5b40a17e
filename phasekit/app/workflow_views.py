"""Explorers over the results of the workflows, with what each needs beside its result."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import xarray as xr

from phasekit.errors import PhasekitError

from .data_root import format_size
from .run_inputs import RunInputs

_MOST_BYTES = 2 * 10**9  # of a stack that is aligned again
_MOST_PATTERNS = 4096  # whose peaks are found without being asked


class Loaded(NamedTuple):
    """Results and inputs in memory; ``build`` makes the explorer."""

    build: Callable[[], Any]
    more: str = ""  # what else could be computed, when asked for


Saved = Mapping[str, xr.Dataset]


def load_phases(saved: Saved, inputs: RunInputs, is_full: bool) -> Loaded:
    """Phase map, with the spectra of its stack."""
    from phasekit.viz.stxm import explorer

    phases = saved["PHASES"].compute()
    limits = {"margin": inputs.read("margin", 0.002), "min_confidence": inputs.read("min_confidence", 0.75)}
    others = _try(lambda: _load_spectra(inputs), "spectra", inputs)
    # Clusters are shown with spectra only.
    others |= {"clusters": saved["CLUSTERS"].compute()} if "CLUSTERS" in saved and "od" in others else {}
    return Loaded(_combine(partial(explorer, phases, **limits), others, inputs))


def _load_spectra(inputs: RunInputs) -> dict[str, Any]:
    """Optical density of the stack, made again as the run made it, and the references."""
    from phasekit import io, stxm

    found = inputs.find("input_path", "the stack")
    if not found:
        return {}
    stack = io.open_stxm(found[0], **inputs.read("reader", {}))
    if stack["intensity"].nbytes > _MOST_BYTES:
        inputs.notes.append(f"The stack has {format_size(stack['intensity'].nbytes)}: maps only, without its spectra.")
        return {}
    # Aligned again, because the optical density is not among the results.
    stack = stack.load()
    stack = stxm.align(stack, progress=False) if inputs.read("align", True) else stack
    incident = inputs.find("i0_path", "the incident intensity")
    i0 = io.open_i0(incident[0], **inputs.read("i0_reader", {})) if incident else None
    parts: dict[str, Any] = {"od": stxm.optical_density(stack, i0=i0).compute()}
    references = inputs.find("reference_paths", "the references")
    if references:
        parts["refs"] = io.open_references(references, **inputs.read("reference_reader", {}))
    return parts


def load_factors(saved: Saved, inputs: RunInputs, is_full: bool) -> Loaded:
    """Components, with the patterns of the scan and the votes about their number."""
    from phasekit.viz.nmf import explorer

    factors = saved["FACTORS"].compute()
    limits: dict[str, Any] = {"threshold": inputs.read("threshold", 0.75)}
    # The background that the run used, so that its number of overlaps is shown.
    if "background" in saved.get("OVERLAP", xr.Dataset()).attrs:
        limits["background"] = int(saved["OVERLAP"].attrs["background"])
    if "RANKS" in saved:
        limits["ranks"] = saved["RANKS"].compute()
    others = _try(lambda: _open_patterns(inputs), "patterns", inputs)
    return Loaded(_combine(partial(explorer, factors, **limits), others, inputs))


def load_orientations(saved: Saved, inputs: RunInputs, is_full: bool) -> Loaded:
    """Orientation map, with the patterns, their peaks and the matched templates."""
    from phasekit.viz.acom import explorer

    orientations = saved["ORIENTATIONS"].compute()
    limits = {"reliability": inputs.read("reliability", 15.0)}
    others = _try(lambda: _open_patterns(inputs), "patterns", inputs)
    more = ""
    n = orientations.sizes["scan_y"] * orientations.sizes["scan_x"]
    if others and (is_full or n <= _MOST_PATTERNS):
        others |= _try(lambda: _find_spots(others["patterns"], inputs), "peaks and templates", inputs)
    elif others:
        more = f"find the peaks of all {n} patterns, and draw the templates"
    return Loaded(_combine(partial(explorer, orientations, **limits), others, inputs), more)


def _open_patterns(inputs: RunInputs) -> dict[str, Any]:
    """Patterns of the scan, lazy."""
    from phasekit import acom, io

    found = inputs.find("input_path", "the scan")
    if not found:
        return {}
    patterns = io.open_4dstem(found[0], **inputs.read("reader", {}))
    pixel_size = inputs.read("pixel_size", 0.0)
    return {"patterns": acom.calibrate(patterns, pixel_size=pixel_size) if pixel_size else patterns}


def _find_spots(patterns: xr.Dataset, inputs: RunInputs) -> dict[str, Any]:
    """Peaks of all patterns, calibrated as in the run, and its templates."""
    from phasekit import acom, detector, io

    phases = [io.open_phase(path) for path in inputs.find("cif_paths", "a crystal structure")]
    # The same steps as in the notebook, so that the spots lie where the run saw them.
    mask = detector.find_mask(patterns)
    found = acom.find_peaks(patterns, mask=mask).compute()
    parts: dict[str, Any] = {"found_peaks": found, "mask": mask}
    if phases:
        turn = inputs.read("detector_rotation_deg", 0.0)
        parts["peaks"] = acom.calibrate_peaks(found, phase=phases, detector_rotation_deg=turn).compute()
        names = {"voltage_kv": 200.0, "resolution_deg": 2.0, "precession_deg": 0.0}
        settings: dict[str, Any] = {name: inputs.read(name, default) for name, default in names.items()}
        parts["bank"] = acom.build_templates(phases, **settings)
    return parts


def _try(load: Callable[[], dict[str, Any]], what: str, inputs: RunInputs) -> dict[str, Any]:
    """What could be loaded; else nothing, and a note. The maps are shown in any case."""
    try:
        return load()
    except Exception as error:
        # A record may hold anything, and readers of damaged inputs raise nearly anything.
        text = str(error) if isinstance(error, PhasekitError) else f"{type(error).__name__}: {error}"
        inputs.notes.append(f"Shown without {what}: {text}")
        return {}


def _combine(explorer: Callable[..., Any], others: dict[str, Any], inputs: RunInputs) -> Callable[[], Any]:
    """Function that makes the explorer with the inputs; of the map alone where they do not fit it."""

    def build() -> Any:
        try:
            return explorer(**others)
        except PhasekitError as error:
            # An input that was changed since the run must not hide its maps.
            if not others:
                raise
            inputs.notes.append(f"Shown without {', '.join(others)}: {error}")
            return explorer()

    return build


#: Kind of a result -> how it is loaded; the first kind that a file holds counts.
VIEWS: dict[str, Callable[[Saved, RunInputs, bool], Loaded]] = {
    "PHASES": load_phases,
    "ORIENTATIONS": load_orientations,
    "FACTORS": load_factors,
}
