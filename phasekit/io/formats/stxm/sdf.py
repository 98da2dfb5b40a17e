"""SDF: a ``.hdr`` text header beside one ``.xim`` text image per energy (ALS, CLS, MAX IV)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .sdf_dwell import read_dwell
from .sdf_header import get_first_line, list_items, read_header
from .stack import FrameSource, RawStack, StxmOptions, convert_to_ev, convert_to_nm

NAME = "SDF"
EXTENSIONS = (".hdr",)
BESIDE = (".xim",)
KEEPS = "energies, positions, ring current, read-back energy, dwell time, start time"
OPTIONS = ("region", "counter", "energies", "step_nm")

# Kinds of scans that are images; spectra of points and lines are not.
_IMAGE_FLAGS = ("image", "image stack", "multi-region image", "multi-region image stack")


@dataclass(frozen=True)
class XimFrames(FrameSource):
    """Text images, one file per energy; ``transposed`` when the fast axis of the file is y."""

    files: tuple[Path, ...]
    transposed: bool

    frame_per_block = True

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices."""
        # The shape in the file has x and y exchanged when y is the fast axis.
        frames = [read_xim(self.files[i], self.shape[:0:-1] if self.transposed else self.shape[1:]) for i in indices]
        stack = np.stack(frames)
        return stack.transpose(0, 2, 1) if self.transposed else stack


def read_xim(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """One text image, checked against the shape its header announces."""
    try:
        # "#" is no comment in these files: a damaged number must not hide the rest of a line.
        image = np.loadtxt(path, dtype=np.float64, ndmin=2, comments=None, encoding="latin-1")
    except (OSError, ValueError) as error:
        raise ReadError(
            path, found=f"a text image that cannot be read ({get_first_line(error)})", cure="copy the frame again"
        ) from error
    if image.shape != shape:
        raise ReadError(
            path,
            found=f"{image.shape[0]} rows of {image.shape[1]} numbers, the header announces {shape[0]} of {shape[1]}",
            cure="copy the frame again; after an interrupted scan read only complete frames with energies=[...]",
        )
    return image


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the header by its ending; a frame beside it is refused with the name of what to open."""
    if path.suffix.lower() == ".xim":
        raise ReadError(path, found="one frame of an SDF scan", cure="give the .hdr file beside it")
    return path.suffix.lower() == ".hdr"


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read a stack or single image from its header; the frames are read when computed."""
    header = read_header(path)
    scan = header.get("ScanDefinition")
    regions = list_items(scan, "Regions") if isinstance(scan, dict) else []
    if not isinstance(scan, dict) or not regions:
        raise ReadError(
            path, found="a header without ScanDefinition and Regions", cure="give the .hdr of an STXM image or stack"
        )
    _check_image(path, scan)
    index = _choose_region(path, regions, options.region)
    p_axis, q_axis = (_read_axis(path, regions[index], name) for name in ("PAxis", "QAxis"))
    channel, letter, channels = _choose_channel(path, header, scan, options.counter)
    points, unit = _read_energies(path, header, scan)
    wanted = convert_to_ev(path, points, unit) if options.energies is None else options.energies
    # Given energies also say how many frames are wanted, which opens an interrupted scan.
    files = _find_frame_files(path, letter, points.size, index if len(regions) > 1 else None, wanted.size)
    raw = _make_stack(path, header, (p_axis, q_axis), files, wanted, channel, index)
    raw.attrs["counters"] = ", ".join(channels)
    return raw


def _make_stack(
    path: Path,
    header: dict[str, Any],
    axes: tuple[dict[str, Any], dict[str, Any]],
    files: tuple[Path, ...],
    energy: NDArray[np.float64],
    channel: dict[str, Any],
    region: int,
) -> RawStack:
    p_axis, q_axis = axes
    # columns of a .xim run along the P axis, rows along Q; P is x unless its name says y
    transposed = p_axis["name"].lower().rstrip().endswith("y") and q_axis["name"].lower().rstrip().endswith("x")
    x_axis, y_axis = (q_axis, p_axis) if transposed else (p_axis, q_axis)
    x, note_x = convert_to_nm(path, x_axis["name"], x_axis["points"], x_axis["unit"])
    y, note_y = convert_to_nm(path, y_axis["name"], y_axis["points"], y_axis["unit"])
    shape = (len(files), y_axis["points"].size, x_axis["points"].size)
    source = XimFrames(path=path, shape=shape, dtype=np.dtype(np.float64), files=files, transposed=transposed)
    for end in {0, len(files) - 1}:  # an interrupted scan or copy shows at the ends, before anything else is read
        source.read([end])
    # Two spellings of the key are in use.
    unit = str(channel.get("Unit", channel.get("UnitName", "")))
    dwell = read_dwell(header, energy, region)
    per_energy = _read_per_frame(header, len(files), region)
    return RawStack(
        frames=source,
        energy=energy,
        y=y,
        x=x,
        per_energy=per_energy if dwell is None else {**per_energy, "dwell": dwell},
        comments=[note_x, note_y],
        unit=unit,
        attrs={
            "format": "SDF",
            "counter": str(channel.get("Name", "")),
            "region": region,
            **({"start_time": str(header["Time"])} if "Time" in header else {}),
        },
    )


def _read_per_frame(header: dict[str, Any], n_energy: int, region: int) -> dict[str, NDArray[np.float64]]:
    """Ring current [mA] and read-back energy [eV], where the header has them for every frame."""
    first = {"StorageRingCurrent": header.get("StorageRingCurrent")}
    frames = [
        # Two numberings are in use: from 0 with the region, and from 1, where the header itself may hold the
        # values of the first frame.
        header.get(f"Image{i:03d}_{region}") or (header.get(f"Image{i + 1}") if i else header.get("Image1", first))
        for i in range(n_energy)
    ]
    out = {}
    for key, name in (("StorageRingCurrent", "ring_current"), ("Energy", "energy_readback")):
        values = [f.get(key) if isinstance(f, dict) else None for f in frames]
        # A value that is missing for one frame could not be told from a drop of the ring current.
        if all(isinstance(v, int | float) for v in values):
            out[name] = np.asarray(values, dtype=np.float64)
    return out


def _check_image(path: Path, scan: dict[str, Any]) -> None:
    flags, kind = str(scan.get("Flags", "Image")), str(scan.get("Type", "Image Scan"))
    if flags.lower() not in _IMAGE_FLAGS or "image" not in kind.lower():
        raise ReadError(
            path, found=f"a scan of type '{kind}' ('{flags}')", cure="give an image or an image stack over energy"
        )


def _choose_region(path: Path, regions: list[Any], region: int | None) -> int:
    if region is None and len(regions) == 1:
        return 0
    if region is not None and 0 <= region < len(regions):
        return region
    sizes = ", ".join(
        f"{i}: {_read_axis(path, r, 'QAxis')['points'].size} x {_read_axis(path, r, 'PAxis')['points'].size} pixels"
        for i, r in enumerate(regions)
    )
    asked = "" if region is None else f", but not region {region}"
    raise ReadError(path, found=f"{len(regions)} region(s) ({sizes}){asked}", cure="choose one with region=0, 1, ...")


def _choose_channel(
    path: Path, header: dict[str, Any], scan: dict[str, Any], counter: str | None
) -> tuple[dict[str, Any], str, list[str]]:
    """Channel, the letter its files carry, and the names of all channels."""
    channels = [c for c in list_items(scan, "Channels") or list_items(header, "Channels") if isinstance(c, dict)] or [
        {}
    ]
    names = [str(c.get("Name", f"channel {i}")) for i, c in enumerate(channels)]
    if counter is not None and counter not in names:
        raise ReadError(path, found=f"the counters {names}, but not '{counter}'", cure="choose counter= from the list")
    # The letter in the names of the files counts the channels.
    index = names.index(counter) if counter is not None else 0
    return channels[index], "abcdefghijklmnopqrstuvwxyz"[index % 26], names


def _read_energies(path: Path, header: dict[str, Any], scan: dict[str, Any]) -> tuple[NDArray[np.float64], str | None]:
    """Energies of the header and their unit; of a single image, where the monochromator stood."""
    # A single image has no stack axis, or an empty one.
    stack = scan.get("StackAxis")
    if isinstance(stack, dict) and list_items(stack, "Points"):
        axis = _read_axis(path, scan, "StackAxis")
        if "energy" not in axis["name"].lower():
            raise ReadError(path, found=f"a stack over '{axis['name']}'", cure="give a stack over photon energy")
        return axis["points"], axis["unit"]
    for name in ("Energy", "Monochromator"):
        position = header.get(name, {}).get("LastPosition") if isinstance(header.get(name), dict) else None
        if isinstance(position, int | float):
            return np.array([float(position)]), "eV"
    raise ReadError(path, found="a header without photon energies", cure="give them in eV with energies=[...]")


def _find_frame_files(path: Path, letter: str, n_points: int, region: int | None, n_wanted: int) -> tuple[Path, ...]:
    """Names of the image files, checked for presence; ``n_wanted`` of ``n_points`` may be asked for."""
    # Files carry the region only where there are several.
    tail = "" if region is None else str(region)
    files = [path.with_name(f"{path.stem}_{letter}{i:03d}{tail}.xim") for i in range(n_points)]
    single = path.with_name(f"{path.stem}_{letter}{tail}.xim")
    # A single image has no frame number in its name.
    if n_points == 1 and not files[0].is_file():
        files = [single]
    # A file of 0 bytes is what an interrupted copy leaves.
    here = [f.is_file() and f.stat().st_size > 0 for f in files]
    if n_wanted > n_points:
        raise ReadError(path, found=f"{n_points} frames for {n_wanted} energies", cure="give one energy per frame")
    if not all(here[:n_wanted]):
        missing = [f.name for f, there in zip(files, here, strict=True) if not there]
        complete = here.index(False)
        raise ReadError(
            path,
            found=f"{len(missing)} of {n_points} image files missing or empty ({', '.join(missing[:3])} ...)",
            cure=f"put them beside the header, or read the first {complete} of an interrupted scan by giving their "
            "energies with energies=[...]",
        )
    return tuple(files[:n_wanted])


def _read_axis(path: Path, struct: Any, name: str) -> dict[str, Any]:
    axis = struct.get(name) if isinstance(struct, dict) else None
    raw = axis.get("Points") if isinstance(axis, dict) else None
    # An array begins with the number of its values, which shows a cut header.
    numbers = isinstance(raw, list) and len(raw) > 1 and all(isinstance(v, int | float) for v in raw)
    if not isinstance(axis, dict) or not isinstance(raw, list) or not numbers or raw[0] != len(raw) - 1:
        got = "is missing" if raw is None else f"announces {str(raw[:1])[1:-1]} points and lists {len(raw) - 1} values"
        raise ReadError(path, found=f"a header whose {name} {got}", cure="copy the .hdr file again")
    return {
        "name": str(axis.get("Name", name)),
        "unit": str(axis["Unit"]) if "Unit" in axis else None,
        "points": np.asarray(raw[1:], dtype=np.float64),
    }
