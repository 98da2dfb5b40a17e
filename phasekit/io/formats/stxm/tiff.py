"""Multipage TIFF: one page per energy; energies from the caller or from a text file beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ....errors import ReadError
from ..columns import read_numbers
from .stack import FrameSource, RawStack, length_factor, to_ev

_SIDECARS = ("{}.csv", "{}.txt", "{}.dat", "{}_energies.csv", "{}_energies.txt", "{}_energy.txt", "energies.txt")
_RESOLUTION_UNITS = {2: 25.4e6, 3: 1e7}  # inch, centimetre [nm]


@dataclass(frozen=True)
class TiffFrames(FrameSource):
    """Pages of the first series of a TIFF."""

    pages: bool

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices; the file is opened and closed here."""
        try:
            with tifffile.TiffFile(self.path) as file:
                series = file.series[0]
                if self.pages:
                    frames = [_page(series, i) for i in indices]
                    return np.stack(frames)
                return np.asarray(series.asarray()).reshape(self.shape)[list(indices)]
        except ReadError:
            raise
        except Exception as error:  # tifffile raises nearly anything on damaged files
            raise _damaged(self.path, error) from error


def _page(series: Any, index: int) -> NDArray[Any]:
    page = series.pages[index]
    if page is None:
        raise ValueError(f"page {index} is missing")
    return np.asarray(page.asarray())


def read_tiff(path: Path, *, energies: NDArray[np.float64] | None) -> RawStack:
    """A stack from a grey-valued multipage TIFF."""
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            full, dtype, axes = series.shape, np.dtype(series.dtype), str(series.axes)
            n_pages, step = len(series.pages), _step_nm(file)
            _check_bytes(path, file)
    except ReadError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    long = tuple(n for n in full if n > 1)
    shape = full if len(full) in (2, 3) else long
    if len(shape) not in (2, 3) or "S" in axes or dtype.kind not in "iuf":
        raise ReadError(
            path,
            found=f"an image of shape {full} (axes {axes}, {dtype})",
            cure="export a grey-valued TIFF with one page per energy",
        )
    shape = shape if len(shape) == 3 else (1, *shape)
    energy, note = _energies(path, shape[0], energies)
    frames = TiffFrames(
        path=path, shape=(shape[0], shape[1], shape[2]), dtype=dtype.newbyteorder("="), pages=n_pages == shape[0]
    )
    y, x = (
        None if step is None else np.arange(n, dtype=np.float64) * s
        for n, s in zip(shape[1:], step or (1, 1), strict=True)
    )
    return RawStack(frames=frames, energy=energy, y=y, x=x, comments=[note], attrs={"format": "TIFF"})


def _check_bytes(path: Path, file: tifffile.TiffFile) -> None:
    """A page that points beyond the end of the file, or to too few bytes, would be filled with nothing."""
    size = path.stat().st_size
    for page in file.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        stored = sum(page.databytecounts)
        short = file.pages.first.compression == 1 and stored < page.nbytes
        if not ends or max(ends) > size or stored <= 0 or short:
            raise ReadError(
                path,
                found=f"{size} bytes, of which page {page.index} has {stored} of {page.nbytes}",
                cure="copy the file again",
            )


def _energies(path: Path, n: int, energies: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], str]:
    if energies is not None:
        return energies, ""
    tried = [path.with_name(name.format(path.stem)) for name in _SIDECARS]
    sidecar = next((p for p in tried if p.is_file()), None)
    if sidecar is None:
        raise ReadError(
            path,
            found=f"{n} page(s) and no photon energies",
            cure=f"give energies=[...] in eV, or put them one per line into {tried[1].name} beside it",
        )
    values = read_numbers(sidecar)
    if values.shape[0] != n:
        raise ReadError(
            sidecar,
            found=f"{values.shape[0]} energies for {n} page(s)",
            cure="list one energy per page, in the order of the pages",
        )
    return to_ev(sidecar, values[:, 0], None), f"energies from {sidecar.name}"


def _step_nm(file: tifffile.TiffFile) -> tuple[float, float] | None:
    """Pixel steps (y, x) where the file states them: ImageJ, or a resolution of more than 1 per 10 um."""
    imagej = file.imagej_metadata or {}
    tags = file.pages.first.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return None
    ratios = [tags[name].value for name in ("YResolution", "XResolution")]
    if any(len(r) != 2 or not r[0] or not r[1] for r in ratios):
        return None
    factor = length_factor(str(imagej.get("unit", "")).replace("\\u00B5", "u"))
    if factor is None or np.isnan(factor):
        unit = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else 1
        factor = _RESOLUTION_UNITS.get(int(unit))
    if factor is None:
        return None
    steps = tuple(factor * r[1] / r[0] for r in ratios)
    return (steps[0], steps[1]) if max(steps) < 1e4 else None  # 72 dpi is a printer's default, not a step


def _damaged(path: Path, error: Exception) -> ReadError:
    return ReadError(
        path,
        found=f"a damaged or foreign TIFF ({type(error).__name__}: {str(error)[:160]})",
        cure="copy the file again, or export it again as an uncompressed TIFF",
    )
