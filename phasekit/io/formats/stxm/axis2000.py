"""aXis2000 binary stacks: ``.ncb`` numbers (16-bit integers or 32-bit floats) beside a ``.dat`` text header."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .dwell import convert_to_seconds
from .stack import FrameSource, RawStack, StxmOptions, convert_to_ev, convert_to_nm

NAME = "aXis2000"
EXTENSIONS = (".ncb",)
BESIDE = (".dat",)
KEEPS = "energies, positions, dwell"
OPTIONS = ("energies", "step_nm")


@dataclass(frozen=True)
class NcbFrames(FrameSource):
    """Frames of raw little-endian numbers, divided by ``scale``."""

    stored: np.dtype[Any]
    scale: float

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices."""
        try:
            # Mapped for each block, so that no file stays open.
            data = np.memmap(self.path, dtype=self.stored, mode="r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise ReadError(self.path, found=f"a changed file ({error})", cure="open it again") from error
        return np.asarray(data[list(indices)], dtype=self.dtype) / self.dtype.type(self.scale)


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending: it holds bare numbers. Its header is refused with the name of what to open."""
    if path.suffix.lower() == ".dat" and path.with_suffix(".ncb").is_file():
        raise ReadError(path, found="the header of an aXis2000 stack", cure=f"give {path.stem}.ncb beside it")
    return path.suffix.lower() == ".ncb"


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read a stack whose ``.dat`` header gives columns, rows and scale, both ends of x and y, and the energies."""
    # Some programs write the ending in capitals.
    header = next((path.with_suffix(s) for s in (".dat", ".DAT") if path.with_suffix(s).is_file()), None)
    if header is None:
        raise ReadError(path, found="no header of the same name", cure=f"put {path.stem}.dat beside it")
    (n_x, n_y), scale, ends, listed, dwell = _read_header(header)
    energy = convert_to_ev(header, listed, "eV") if options.energies is None else options.energies
    # a negative scale says 32-bit floats, a positive one 16-bit integers that were multiplied by it
    stored = np.dtype("<f4" if scale < 0 else "<i2")
    shape = (listed.size, n_y, n_x)
    needed = int(np.prod(shape)) * stored.itemsize
    # The size of the file is the only check there is: the numbers have no structure of their own.
    if path.stat().st_size != needed:
        raise ReadError(
            path,
            found=f"{path.stat().st_size} bytes, its header announces {needed} for {shape} {stored.name}",
            cure="copy the .ncb file again"
            if path.stat().st_size < needed
            else "put the .dat file of this stack beside it",
        )
    divisor = scale if scale > 0 else 1.0
    frames = NcbFrames(path=path, shape=shape, dtype=np.dtype(np.float64), stored=stored, scale=divisor)
    _check_byte_order(path, frames)
    (x, _), (y, _) = (
        convert_to_nm(header, name, np.linspace(*end, n), "um")
        for name, end, n in zip("xy", ends, (n_x, n_y), strict=True)
    )
    per_energy = {} if dwell is None else {"dwell": dwell}
    return RawStack(
        frames=frames,
        energy=energy,
        y=y,
        x=x,
        per_energy=per_energy,
        attrs={"format": "aXis2000 ncb"},
        stated={"y": "um", "x": "um"},
    )


def _check_byte_order(path: Path, frames: NcbFrames) -> None:
    """Refuse numbers whose bytes are in the other order, as Macintosh and Sun computers wrote them."""
    first = np.abs(np.fromfile(path, frames.stored, frames.shape[1] * frames.shape[2]))
    other = np.abs(first.view(frames.stored.newbyteorder()))
    if frames.stored.kind != "f" or _has_usual_size(first) or not _has_usual_size(other):
        return
    cure = "exchange the bytes, e.g. numpy.fromfile(path, '>f4').astype('<f4').tofile(path)"
    raise ReadError(path, found="numbers whose bytes are in the other order (big-endian)", cure=cure)


def _has_usual_size(values: NDArray[Any]) -> bool:
    """Whether most numbers are 0 or of the size of counts and optical densities."""
    with np.errstate(invalid="ignore"):
        return bool(((values == 0) | ((values > 1e-12) & (values < 1e15))).mean() > 0.9)


def _read_header(
    path: Path,
) -> tuple[tuple[int, int], float, list[tuple[float, float]], NDArray[np.float64], NDArray[np.float64] | None]:
    lines = [line.split() for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    try:
        n_x, n_y, scale = int(lines[0][0]), int(lines[0][1]), float(lines[0][2])
        # Line 1: columns, rows, scale. Lines 2 and 3: ends of x and y. Line 4: number of energies, which follow.
        ends = [(float(line[0]), float(line[1])) for line in lines[1:3]]
        n_energy = int(lines[3][0])
        energy = np.array([float(line[0]) for line in lines[4 : 4 + max(0, n_energy)]])
    except IndexError as error:
        raise ReadError(path, found=f"an aXis2000 header that breaks off ({error})", cure="copy it again") from error
    except ValueError as error:
        cure = "put the .dat file that aXis2000 wrote beside the .ncb"
        raise ReadError(path, found=f"text that is not an aXis2000 header ({error})", cure=cure) from error
    # A damaged header may hold numbers that fold the bytes in an absurd way.
    plausible = min(n_x, n_y, n_energy) > 0 and np.isfinite([scale, *ends[0], *ends[1]]).all() and scale != 0
    if not plausible or energy.size != n_energy:
        raise ReadError(
            path,
            found=f"a header of {n_x} x {n_y} pixels, {n_energy} energies ({energy.size} listed), scale {scale}",
            cure="copy the .dat file again" if energy.size < n_energy else "correct the .dat file",
        )
    return (n_x, n_y), scale, ends, energy, _read_dwell(lines[4 + n_energy :], n_energy)


def _read_dwell(lines: list[list[str]], n_energy: int) -> NDArray[np.float64] | None:
    """Dwell [s] of the frames from lines of name, energy and dwell in ms; None where a line lacks it."""
    try:
        return (
            convert_to_seconds([float(line[2]) for line in lines[:n_energy]], "ms") if lines[n_energy - 1 :] else None
        )
    except (IndexError, ValueError):
        return None
