"""Frames of an SDF scan: one text image per energy, of which some may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ..stack import FrameSource, convert_to_ev
from .header import get_first_line

_SAME_ENERGY = 0.02  # [eV] half a step of the finest scans; headers round to a hundredth


class FrameFiles(NamedTuple):
    """Files of all frames that a header announces, and which are there."""

    header: Path
    paths: tuple[Path, ...]
    here: tuple[bool, ...]

    def describe_missing(self, kept: Sequence[int]) -> str:
        """Remark on the kept frames whose file is missing, empty where there are none."""
        missing = [str(i) for i in kept if not self.here[i]]
        return f"frames {', '.join(missing)} have no file, NaN" if missing else ""


@dataclass(frozen=True)
class XimFrames(FrameSource):
    """Text images, one file per energy; ``transposed`` when the fast axis of the file is y.

    A frame without a file is NaN. ``incomplete`` also allows the rows that an interrupted frame lacks to be NaN.
    """

    files: tuple[Path | None, ...]
    transposed: bool
    incomplete: bool

    frame_per_block = True
    reads_some = True

    def read_some(self) -> NDArray[Any]:
        """Values of the first frame that has a file."""
        return self.read([next((i for i, file in enumerate(self.files) if file is not None), 0)])

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices."""
        # The shape in the file has x and y exchanged when y is the fast axis.
        shape = self.shape[:0:-1] if self.transposed else self.shape[1:]
        stack = np.stack([read_xim(self.files[i], shape, incomplete=self.incomplete) for i in indices])
        return stack.transpose(0, 2, 1) if self.transposed else stack


def read_xim(path: Path | None, shape: tuple[int, ...], *, incomplete: bool = False) -> NDArray[np.float64]:
    """One text image, checked against the shape its header announces; NaN where there is no file."""
    if path is None:
        return np.full(shape, np.nan)
    try:
        # "#" is no comment in these files: a damaged number must not hide the rest of a line.
        image = np.loadtxt(path, dtype=np.float64, ndmin=2, comments=None, encoding="latin-1")
    except (OSError, ValueError) as error:
        raise ReadError(
            path,
            found=f"a text image that cannot be read ({get_first_line(error)})",
            cure="copy the frame again; if it was cut short by the scan, leave it out with energies=[...]",
        ) from error
    if incomplete and image.shape[0] < shape[0] and image.shape[1] == shape[1]:
        image = np.pad(image, ((0, shape[0] - image.shape[0]), (0, 0)), constant_values=np.nan)
    if image.shape != shape:
        more = image.size > np.prod(shape)
        raise ReadError(
            path,
            found=f"{image.shape[0]} rows of {image.shape[1]} numbers, the header announces {shape[0]} of {shape[1]}",
            cure="put the header of this scan beside it"
            if more
            else "copy the frame again; after an interrupted scan leave the frame out with energies=[...]",
        )
    return image


def find_frame_files(path: Path, letter: str, n_points: int, region: int | None) -> FrameFiles:
    """Names of the image files, and which are there with something in them."""
    # Files carry the region only where there are several.
    tail = "" if region is None else str(region)
    files = [path.with_name(f"{path.stem}_{letter}{i:03d}{tail}.xim") for i in range(n_points)]
    # A single image has no frame number in its name.
    if n_points == 1 and not files[0].is_file():
        files = [path.with_name(f"{path.stem}_{letter}{tail}.xim")]
    # Some programs and disks write the ending in capitals.
    files = [f if f.is_file() or not f.with_suffix(".XIM").is_file() else f.with_suffix(".XIM") for f in files]
    # A file of 0 bytes is what an interrupted copy leaves.
    return FrameFiles(path, tuple(files), tuple(f.is_file() and f.stat().st_size > 0 for f in files))


def select_given(
    files: FrameFiles,
    points: NDArray[np.float64],
    unit: str | None,
    energies: NDArray[np.float64] | None,
    missing_frames: str | None,
) -> tuple[list[int], NDArray[np.float64]]:
    """Select the frames that the caller's energies [eV] mean, and their energies; without any, all frames.

    Raises
    ------
    ReadError
        A wanted frame has no file and ``missing_frames`` is not "nan", or the energies mean no frames.
    """
    n_points = points.size
    everything = list(range(n_points))
    if energies is None:
        kept, energy = everything, convert_to_ev(files.header, points, unit)
    elif energies.size > n_points:
        found = f"{n_points} frames for {energies.size} energies"
        raise ReadError(files.header, found=found, cure="give one energy per frame")
    else:
        # As many energies as frames are their right energies.
        kept, energy = everything if energies.size == n_points else _match(files, points, unit, energies), energies
    if missing_frames == "nan" and not any(files.here[i] for i in kept):
        raise _list_missing(files, kept, points, unit)
    if missing_frames != "nan" and not all(files.here[i] for i in kept):
        raise _list_missing(files, kept, points, unit)
    return kept, energy


def _match(
    files: FrameFiles, points: NDArray[np.float64], unit: str | None, energies: NDArray[np.float64]
) -> list[int]:
    """Frames of fewer energies than the header lists: those of the same energies, or the first of a broken-off scan."""
    listed = _convert(files, points, unit)
    same = [np.flatnonzero(np.abs(listed - one) < _SAME_ENERGY) for one in energies]
    kept = [int(found[0]) for found in same if found.size]
    if len(kept) == len(set(kept)) == energies.size:
        return kept
    complete = files.here.index(False) if False in files.here else len(files.here)
    # Other energies than those of the header can only mean the first frames if these are all there are.
    if complete == energies.size == sum(files.here):
        return list(range(complete))
    raise ReadError(
        files.header,
        found=f"{energies.size} energies for {points.size} frames, and not all of them are energies of the header",
        cure="give energies of the header, or one energy for every frame",
    )


def _convert(files: FrameFiles, points: NDArray[np.float64], unit: str | None) -> NDArray[np.float64]:
    """Energies of the header in eV; NaN where they are none, for the caller's may replace them."""
    try:
        return convert_to_ev(files.header, points, unit)
    except ReadError:
        return np.full(points.size, np.nan)


def _list_missing(files: FrameFiles, kept: Sequence[int], points: NDArray[np.float64], unit: str | None) -> ReadError:
    missing = [i for i in kept if not files.here[i]]
    there = [i for i in kept if files.here[i]]
    n_points = len(kept)
    shown = ", ".join(f"{files.paths[i].name} ({points[i]:g} {unit or ''})".replace(" )", ")") for i in missing[:5])
    more = " ..." if len(missing) > 5 else ""
    found = f"{len(missing)} of {n_points} image files missing or empty: {shown}{more}"
    if not there:
        others = sorted(
            f.name for f in files.header.parent.glob("*.[xX][iI][mM]") if f.stem[-3:] == files.paths[0].stem[-3:]
        )
        renamed = f", or name the header as its frames are named ({others[0]} is there)" if others else ""
        return ReadError(files.header, found=found, cure=f"put them beside the header{renamed}")
    interrupted = there == list(range(len(there)))
    kind = f"the first {len(there)}, of an interrupted scan," if interrupted else f"the other {len(there)}"
    cure = (
        f"put them beside the header, open {kind} by giving their energies with energies=[...], "
        "or keep all with missing_frames='nan'"
    )
    return ReadError(files.header, found=found, cure=cure)
