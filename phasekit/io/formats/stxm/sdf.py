"""SDF: a ``.hdr`` text header beside one ``.xim`` text image per energy (ALS, CLS, MAX IV)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .polarisation import select_polarisation
from .sdf_files.dwell import read_dwell
from .sdf_files.frames import FrameFiles, XimFrames, find_frame_files, select_given
from .sdf_files.header import list_items, read_header
from .stack import RawStack, StxmOptions, convert_to_nm

NAME = "SDF"
EXTENSIONS = (".hdr",)
BESIDE = (".xim",)
KEEPS = "energies, positions, ring current, read-back energy, dwell time, start time"
OPTIONS = ("region", "counter", "energies", "step_nm", "polarisation", "missing_frames")

# Kinds of scans that are images; spectra of points and lines are not.
_IMAGE_FLAGS = ("image", "image stack", "multi-region image", "multi-region image stack")


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
    points, unit = _read_energies(path, header, scan, options)
    files = find_frame_files(path, letter, points.size, index if len(regions) > 1 else None)
    kept, energy = select_given(files, points, unit, options.energies, options.missing_frames)
    raw = _make_stack(path, (p_axis, q_axis), files, kept, incomplete=options.missing_frames == "nan")
    raw.energy, raw.stated["energy"] = energy, unit if options.energies is None else None
    # Records are those of the frames in the header, whatever energies the caller gives.
    dwell = read_dwell(header, points, index)
    records = {**_read_per_frame(header, points.size, index), **({} if dwell is None else {"dwell": dwell})}
    raw.per_energy = {name: values[kept] for name, values in records.items()}
    # Two spellings of the key are in use.
    raw.unit = str(channel.get("Unit", channel.get("UnitName", "")))
    raw.attrs |= {"counter": str(channel.get("Name", "")), "counters": ", ".join(channels), "region": index}
    raw.attrs |= {"start_time": str(header["Time"])} if "Time" in header else {}
    polarisations = _read_polarisations(header, points.size, index)
    return select_polarisation(path, raw, [polarisations[i] for i in kept], options.polarisation)


def _make_stack(
    path: Path, axes: tuple[dict[str, Any], dict[str, Any]], files: FrameFiles, kept: list[int], *, incomplete: bool
) -> RawStack:
    """Stack of the kept frames with its axes; energies and records are added by the caller."""
    p_axis, q_axis = axes
    # columns of a .xim run along the P axis, rows along Q; P is x unless its name says y
    transposed = p_axis["name"].lower().rstrip().endswith("y") and q_axis["name"].lower().rstrip().endswith("x")
    x_axis, y_axis = (q_axis, p_axis) if transposed else (p_axis, q_axis)
    x, note_x = convert_to_nm(path, x_axis["name"], x_axis["points"], x_axis["unit"])
    y, note_y = convert_to_nm(path, y_axis["name"], y_axis["points"], y_axis["unit"])
    source = XimFrames(
        path=path,
        shape=(len(kept), y_axis["points"].size, x_axis["points"].size),
        dtype=np.dtype(np.float64),
        files=tuple(files.paths[i] if files.here[i] else None for i in kept),
        transposed=transposed,
        incomplete=incomplete,
    )
    for end in {0, len(kept) - 1}:  # an interrupted scan or copy shows at the ends, before anything else is read
        source.read([end])
    return RawStack(
        frames=source,
        energy=np.empty(0),
        y=y,
        x=x,
        comments=[note_x, note_y, files.describe_missing(kept)],
        attrs={"format": "SDF"},
        stated={"x": x_axis["unit"], "y": y_axis["unit"]},
    )


def _read_polarisations(header: dict[str, Any], n_energy: int, region: int) -> list[Any]:
    """Polarisation of every frame as its record in the header says it, None where it says none."""
    out = []
    for i in range(n_energy):
        frame = _get_record(header, i, region)
        named = [value for key, value in frame.items() if "polari" in key.lower()]
        out.append(named[0] if named else None)
    return out if all(value is not None for value in out) else [None] * n_energy


def _get_record(header: dict[str, Any], i: int, region: int) -> dict[str, Any]:
    # Two numberings are in use: from 0 with the region, and from 1, where the header itself may hold the values of
    # the first frame.
    first = {} if i else {"StorageRingCurrent": header.get("StorageRingCurrent")}
    found = header.get(f"Image{i:03d}_{region}") or header.get(f"Image{i + 1}", first)
    return found if isinstance(found, dict) else {}


def _read_per_frame(header: dict[str, Any], n_energy: int, region: int) -> dict[str, NDArray[np.float64]]:
    """Ring current [mA] and read-back energy [eV], where the header has them for every frame."""
    frames = [_get_record(header, i, region) for i in range(n_energy)]
    out = {}
    for key, name in (("StorageRingCurrent", "ring_current"), ("Energy", "energy_readback")):
        values = [frame.get(key) for frame in frames]
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


def _read_energies(
    path: Path, header: dict[str, Any], scan: dict[str, Any], options: StxmOptions
) -> tuple[NDArray[np.float64], str | None]:
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
    if options.energies is not None:
        return options.energies, "eV"
    raise ReadError(path, found="a header without photon energies", cure="give them in eV with energies=[...]")


def _read_axis(path: Path, struct: Any, name: str) -> dict[str, Any]:
    axis = struct.get(name) if isinstance(struct, dict) else None
    raw = axis.get("Points") if isinstance(axis, dict) else None
    # An array begins with the number of its values, which shows a cut header.
    numbers = isinstance(raw, list) and len(raw) > 1 and all(isinstance(v, int | float) for v in raw)
    if not isinstance(axis, dict) or not isinstance(raw, list) or not numbers or raw[0] != len(raw) - 1:
        lacks = isinstance(raw, list) and isinstance(raw[0] if raw else None, int) and raw[0] > len(raw) - 1
        cure = "copy the .hdr file again" if lacks else "correct the number of points, or give another scan's header"
        got = "is missing" if raw is None else f"announces {str(raw[:1])[1:-1]} points and lists {len(raw) - 1} values"
        raise ReadError(path, found=f"a header whose {name} {got}", cure=cure)
    return {
        "name": str(axis.get("Name", name)),
        "unit": str(axis["Unit"]) if "Unit" in axis else None,
        "points": np.asarray(raw[1:], dtype=np.float64),
    }
