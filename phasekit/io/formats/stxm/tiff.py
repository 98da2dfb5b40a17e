"""Multipage TIFF: one page per energy; energies from the caller or from a text file beside it."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ....errors import ReadError
from ..file_errors import damaged_file
from ..tables.sidecar import read_page_energies
from ..tiff_pages import check_page_bytes, is_tiff, open_tiff
from .stack import FrameSource, RawStack, StxmOptions, find_length_factor

NAME = "TIFF"
EXTENSIONS = (".tif", ".tiff")
KEEPS = "energies of a text file beside it, step of ImageJ and OME"
OPTIONS = ("energies", "step_nm")
CONTENT = "TIFF"
REMOTE = True

# Names under which energies are looked for; {} is the stem of the image.
_SIDECARS = ("{}.csv", "{}.txt", "{}.dat", "{}_energies.csv", "{}_energies.txt", "{}_energy.txt", "energies.txt")
_OME_SIZE = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_RESOLUTION_UNITS = {2: 25.4e6, 3: 1e7}  # inch, centimetre [nm]


@dataclass(frozen=True)
class TiffFrames(FrameSource):
    """Pages of the first series of a TIFF."""

    pages: bool

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices; the file is opened and closed here."""
        try:
            with open_tiff(self.path) as file:
                series = file.series[0]
                if self.pages:
                    frames = [_read_page(series, i) for i in indices]
                    return np.stack(frames)
                return np.asarray(series.asarray()).reshape(self.shape)[list(indices)]
        except ReadError:
            raise
        except Exception as error:  # tifffile raises nearly anything on damaged files
            raise damaged_file(self.path, error) from error


def _read_page(series: Any, index: int) -> NDArray[Any]:
    page = series.pages[index]
    if page is None:
        raise ValueError(f"page {index} is missing")
    return np.asarray(page.asarray())


def recognise(head: bytes, path: Path) -> bool:
    """Recognise a TIFF by its first bytes."""
    return is_tiff(head)


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read sizes, step and energies of a grey-valued multipage TIFF; pages are read when computed."""
    with open_tiff(path) as file:
        series = file.series[0]
        full, dtype, axes = series.shape, np.dtype(series.dtype), str(series.axes)
        n_pages, step = len(series.pages), _read_step_nm(file)
        check_page_bytes(path, file)
    # ImageJ writes hyperstacks with axes of length 1.
    long = tuple(n for n in full if n > 1)
    shape = full if len(full) in (2, 3) else long
    if len(shape) not in (2, 3) or "S" in axes or dtype.kind not in "iuf":
        raise ReadError(
            path,
            found=f"an image of shape {full} (axes {axes}, {dtype})",
            cure="export a grey-valued TIFF with one page per energy",
        )
    shape = shape if len(shape) == 3 else (1, *shape)
    energy, note = _find_energies(path, shape[0], options.energies)
    # ImageJ stores large stacks as one page; its frames are then read as one array.
    frames = TiffFrames(
        path=path, shape=(shape[0], shape[1], shape[2]), dtype=dtype.newbyteorder("="), pages=n_pages == shape[0]
    )
    y, x = (
        None if step is None else np.arange(n, dtype=np.float64) * s
        for n, s in zip(shape[1:], step or (1, 1), strict=True)
    )
    return RawStack(frames=frames, energy=energy, y=y, x=x, comments=[note], attrs={"format": "TIFF"})


def _find_energies(path: Path, n: int, energies: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], str]:
    if energies is not None:
        return energies, ""
    stems = dict.fromkeys((path.stem, re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)))
    tried = [path.with_name(name.format(stem)) for stem in stems for name in _SIDECARS]
    sidecar = next((p for p in tried if p.is_file()), None)
    # TIFF has no place for energies.
    if sidecar is None:
        raise ReadError(
            path,
            found=f"{n} page(s) and no photon energies",
            cure=f"give energies=[...] in eV, or put them one per line into {tried[1].name} beside it",
        )
    return read_page_energies(sidecar, n), f"energies from {sidecar.name}"


def _read_step_nm(file: tifffile.TiffFile) -> tuple[float, float] | None:
    """Pixel steps (y, x) where the file states them: OME, ImageJ, or a resolution of more than 1 per 10 um."""
    if file.is_ome:
        return _read_ome_step_nm(str(file.ome_metadata))
    imagej = file.imagej_metadata or {}
    tags = file.pages.first.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return None
    ratios = [tags[name].value for name in ("YResolution", "XResolution")]
    if any(len(r) != 2 or not r[0] or not r[1] for r in ratios):
        return None
    # ImageJ states its own unit and escapes the micro sign.
    factor = find_length_factor(str(imagej.get("unit", "")).replace("\\u00B5", "u"))
    if factor is None or np.isnan(factor):
        unit = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else 1
        factor = _RESOLUTION_UNITS.get(int(unit))
    if factor is None:
        return None
    steps = tuple(factor * r[1] / r[0] for r in ratios)
    return (steps[0], steps[1]) if max(steps) < 1e4 else None  # 72 dpi is a printer's default, not a step


def _read_ome_step_nm(text: str) -> tuple[float, float] | None:
    """Pixel steps (y, x) of OME-XML, which are in um where it names no unit."""
    found = _OME_SIZE.search(text)
    said = dict(re.findall(r'(PhysicalSize[XY](?:Unit)?)="([^"]*)"', found[0] if found else ""))
    steps = []
    for axis in "YX":
        factor = find_length_factor(html.unescape(said.get(f"PhysicalSize{axis}Unit", "um")))
        if f"PhysicalSize{axis}" not in said or factor is None or np.isnan(factor):
            return None
        steps.append(float(said[f"PhysicalSize{axis}"]) * factor)
    return steps[0], steps[1]
