"""Writers of small 4D-STEM files, each as the named program writes them. They share nothing with the readers."""

import json
import struct

import h5py
import numpy as np

BEAM = (7, 4)


def make_cube(ny=3, nx=4, ky=12, kx=10, beam=BEAM, dtype=np.uint16):
    """(ny, nx, ky, kx) patterns, no two alike and no axis like another; the direct beam is the brightest pixel."""
    rows, columns = np.mgrid[:ky, :kx]
    pattern = 1 + (3 * rows + columns) % 7
    pattern[beam] = 200
    data = np.repeat(pattern[None], ny * nx, axis=0)
    data[:, 0, 0] = np.arange(1, ny * nx + 1)
    return data.reshape(ny, nx, ky, kx).astype(dtype)


CUBE = make_cube()
SQUARE = make_cube(ky=12, kx=12)


# py4DSTEM and EMD ----------------------------------------------------------------------------------------------------


def write_emdfile(path, cube=CUBE, calibration=None, r=(1, "pixels"), q=(1, "pixels"), extra=()):
    """py4DSTEM 0.14, which saves through emdfile: every dim vector starts at 0, the calibration lies beside it."""
    with h5py.File(path, "w") as file:
        file.attrs.update(authoring_program="emdfile", emd_group_type="file", version_major=1, version_minor=0)
        root = file.create_group("datacube_root")
        root.attrs.update(emd_group_type="root", python_class="Root")
        bundle = root.create_group("metadatabundle")
        bundle.attrs["emd_group_type"] = "metadatabundle"
        write_emd_metadata(bundle.create_group("calibration"), calibration or {}, r, q)
        group = root.create_group("datacube")
        group.attrs.update(emd_group_type="array", python_class="DataCube")
        write_emd_array(group, cube, [r, r, q, q], ("Rx", "Ry", "Qx", "Qy"))
        for name, array in extra:
            group = root.create_group(name)
            group.attrs.update(emd_group_type="array", python_class="DataCube" if array.ndim == 4 else "VirtualImage")
            write_emd_array(group, array, [r, r, q, q], ("Rx", "Ry", "Qx", "Qy"))
    return path


def write_emd_metadata(group, calibration, r, q):
    group.attrs.update(emd_group_type="metadata", python_class="Calibration")
    values = {
        "R_pixel_size": r[0],
        "R_pixel_units": r[1],
        "Q_pixel_size": q[0],
        "Q_pixel_units": q[1],
        "QR_flip": False,
    }
    for name, value in (values | calibration).items():
        kind = "string" if isinstance(value, str) else "array" if isinstance(value, np.ndarray) else "number"
        item = group.create_dataset(name, data=value.encode() if kind == "string" else value)
        item.attrs["type"] = np.bytes_(kind)


def write_emd_array(group, array, axes, names):
    group.create_dataset("data", data=array).attrs["units"] = "pixel intensity"
    for n, ((step, unit), name) in enumerate(zip(axes[: array.ndim], names, strict=False)):
        group.create_dataset(f"dim{n}", data=np.array([0, step]))
        group[f"dim{n}"].attrs.update(name=name, units=unit)


def write_py4dstem_13(path, cube=CUBE, calibration=None, r=(2.5, "nm"), q=(0.02, "A^-1")):
    """py4DSTEM 0.13: EMD types are numbers, and metadata lies in ``_metadata`` of the array."""
    with h5py.File(path, "w") as file:
        root = file.create_group("4DSTEM")
        root.attrs.update(emd_group_type="root", py4dstem_class="Root")
        group = root.create_group("datacube")
        group.attrs.update(emd_group_type=1, py4dstem_class="DataCube")
        write_emd_array(group, cube, [r, r, q, q], ("Rx", "Ry", "Qx", "Qy"))
        write_emd_metadata(group.create_group("_metadata/calibration"), calibration or {}, r, q)
        group["_metadata/calibration"].attrs["emd_group_type"] = 0
    return path


def write_py4dstem_12(path, cube=CUBE, name="datacube_0"):
    """py4DSTEM up to 0.12: a top group of EMD type 2, dims from 1, always in pixels."""
    with h5py.File(path, "w") as file:
        top = file.create_group("4DSTEM_experiment")
        top.attrs.update(emd_group_type=2, version_major="0", version_minor="12", version_release="6")
        for kind in ("counted_datacubes", "diffractionslices", "realslices", "pointlists", "pointlistarrays"):
            top.create_group(f"data/{kind}")
        group = top.create_group(f"data/datacubes/{name}")
        group.attrs["emd_group_type"] = 1
        write_ncem_array(group, cube, ("R_x", "R_y", "Q_x", "Q_y"), ["[pix]"] * 4, [1] * 4)
        image = top.create_group("data/diffractionslices/bvm")
        image.create_dataset("data", data=cube[0, 0])
    return path


def write_ncem_array(group, cube, names, units, steps, offsets=(0, 0, 0, 0)):
    group.create_dataset("data", data=cube)
    for n, (name, unit, step) in enumerate(zip(names, units, steps, strict=True)):
        dim = group.create_dataset(f"dim{n + 1}", data=offsets[n] + step * np.arange(cube.shape[n], dtype="f4"))
        dim.attrs.update(name=np.bytes_(name), units=np.bytes_(unit.encode("utf-8")))


def write_ncem(path, cube=CUBE, names=("Ry", "Rx", "Qy", "Qx"), units=("[n_m]", "[n_m]", "[1/n_m]", "[1/n_m]"), **axes):
    """EMD 0.2 of the National Center for Electron Microscopy; units in brackets, ``_`` after a prefix."""
    with h5py.File(path, "w") as file:
        file.attrs.update(version_major=0, version_minor=2)
        group = file.create_group("data/datacube_000")
        group.attrs["emd_group_type"] = 1
        write_ncem_array(group, cube, names, units, **axes)
        file.create_group("microscope").attrs["voltage"] = 300
    return path


# HyperSpy ------------------------------------------------------------------------------------------------------------

NM = {"units": "nm", "scale": 2.0, "offset": 0.0, "navigate": True}
PER_NM = {"units": "1/nm", "scale": 0.2, "offset": -1.0, "navigate": False}


def write_hspy(path, cube=CUBE, axes=None, version="3.3", tem=None, titles=("__unnamed__",), root=None):
    """HyperSpy; ``root`` is the zarr group of a .zspy. Version 1 wrote neither ``_type`` nor ``is_binned``."""
    file = h5py.File(path, "w") if root is None else root
    file.attrs.update(file_format="HyperSpy", file_format_version=version)
    for title in titles:
        signal = file.create_group(f"Experiments/{title}")
        write_hspy_axes(signal, cube, axes or [NM, NM, PER_NM, PER_NM], version)
        if root is None:
            signal.create_dataset("data", data=cube, chunks=True, compression="gzip")
        else:
            signal.create_array("data", data=np.ascontiguousarray(cube))
        metadata = signal.create_group("metadata")
        metadata.create_group("Signal").attrs.update(signal_type="electron_diffraction", binned=False)
        metadata.create_group("General").attrs["title"] = title
        metadata.create_group("Acquisition_instrument/TEM").attrs.update(tem or {})
        signal.create_group("original_metadata")
    if root is None:
        file.close()
    return path


def write_hspy_axes(signal, cube, axes, version):
    for n, axis in enumerate(axes):
        group = signal.create_group(f"axis-{n}")
        attributes = {"name": "_None_", "size": cube.shape[n]} | axis
        if version >= "3":
            attributes |= {"_type": "UniformDataAxis", "is_binned": False}
        group.attrs.update(
            {
                key: float(v) if isinstance(v, int) and key != "size" and not isinstance(v, bool) else v
                for key, v in attributes.items()
            }
        )


def write_zspy(path, markers=False, zarr_format=2, **how):
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    write_hspy(path, root=root, **how)
    if markers:
        add_markers(root["Experiments/__unnamed__"])
    root.store.close()
    return path


def add_markers(signal):
    """Spots saved with ``add_marker(permanent=True)``: an object array, which zarr-python 3 cannot read."""
    group = signal.create_group("metadata/Markers/Points")
    group.attrs.update({"class": "Points", "name": "Points", "plot_on_signal": True})
    group.create_group("kwargs")
    root = group.store_path.store.root / group.path / "kwargs" / "offsets"
    root.mkdir(parents=True)
    description = {"zarr_format": 2, "shape": [3, 4], "chunks": [3, 4], "dtype": "|O", "order": "C", "fill_value": 0}
    description |= {"compressor": None, "filters": [{"id": "vlen-array", "dtype": "<f8"}]}
    (root / ".zarray").write_text(json.dumps(description), encoding="utf-8")
    (root / "0.0").write_bytes(struct.pack("<I", 12) + 12 * (struct.pack("<I", 16) + struct.pack("<dd", 1.0, 2.0)))


# Detectors and instruments -------------------------------------------------------------------------------------------


def write_dectris(path, cube=CUBE, per_file=5, missing=(), mask=True):
    """Dectris master: external links to files of up to ``per_file`` frames, detector settings, a pixel mask."""
    frames = cube.reshape(-1, *cube.shape[-2:]).astype(np.uint32)
    stem = path.name.removesuffix("_master.h5")
    with h5py.File(path, "w") as master:
        master.create_group("entry").attrs["NX_class"] = "NXentry"
        master.create_group("entry/data").attrs["NX_class"] = "NXdata"
        for n, first in enumerate(range(0, len(frames), per_file), start=1):
            name = f"{stem}_data_{n:06d}.h5"
            if n not in missing:
                with h5py.File(path.with_name(name), "w") as part:
                    block = part.create_dataset("entry/data/data", data=frames[first : first + per_file])
                    block.attrs.update(image_nr_low=first + 1, image_nr_high=min(first + per_file, len(frames)))
            master[f"entry/data/data_{n:06d}"] = h5py.ExternalLink(name, "entry/data/data")
        detector = master.create_group("entry/instrument/detector")
        detector.attrs["NX_class"] = "NXdetector"
        detector["bit_depth_image"] = 32
        detector["x_pixel_size"] = 7.5e-5
        if mask:
            detector.create_dataset("detectorSpecific/pixel_mask", data=np.zeros(frames.shape[1:], np.uint32))
            detector.create_dataset("detectorSpecific/flatfield", data=np.ones(frames.shape[1:], np.float32))
    return path


def write_nxdata(path, cube=CUBE, axes=("y", "x", "ky", "kx"), steps=(2, 2, 0.2, 0.2), *, indices=False, link=None):
    """NeXus: the group's ``default`` chain, ``signal`` and ``axes`` name the arrays."""
    units = ("nm", "nm", "1/nm", "1/nm")
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="patterns")
        data = entry.create_group("patterns")
        places = {f"{name}_indices": n for n, name in enumerate(axes)}
        data.attrs.update(places if indices else {"axes": list(axes)}, NX_class="NXdata", signal="counts")
        data.create_dataset("counts", data=cube).attrs["long_name"] = "diffraction patterns"
        if link:
            file[link] = data["counts"]
        for n, (name, unit, step) in enumerate(zip(axes, units, steps, strict=True)):
            data.create_dataset(name, data=step * (np.arange(cube.shape[n]) - (0 if n < 2 else 5)))
            data[name].attrs["units"] = unit
    return path


def merlin_header(number, ky, kx, kind="U16"):
    """The text before every frame of a Merlin recording: MQ1, number, length, chips, columns, rows, type."""
    text = f"MQ1,{number:06d},00384,01,{kx:04d},{ky:04d},{kind},   1x1,01,2024-03-05 11:20:31.123456,0.001000,0,0,0,"
    text += "1.2E+2,5.11E+2,0,0,0,0,0,0,175,511,000,000,MQ1A,2024-03-05T10:20:31.123456789Z,1000000ns,12"
    return text.ljust(384, "\x00").encode("ascii")


def write_mib(path, cube=CUBE, frames=None, hdr=False, kind="U16"):
    """Merlin: 384 bytes of text and big-endian counts per frame; the .hdr states the acquisition that was meant."""
    patterns = cube.reshape(-1, *cube.shape[-2:])[:frames]
    dtype = {"U08": ">u1", "U16": ">u2", "U32": ">u4", "R64": ">u8"}[kind]
    with path.open("wb") as file:
        for n, pattern in enumerate(patterns, start=1):
            file.write(merlin_header(n, *pattern.shape, kind) + pattern.astype(dtype).tobytes())
    if hdr:
        lines = ["HDR,", "Time and Date Stamp (day, mnth, yr, hr, min, s):\t05/03/2024 11:20:31"]
        lines += [f"Frames in Acquisition (Number):\t{cube.shape[0] * cube.shape[1]}"]
        lines += [f"Frames per Trigger (Number):\t{cube.shape[1]}", "End\t"]
        path.with_suffix(".hdr").write_text("\n".join(lines), encoding="ascii")
    return path


def write_blockfile(path, cube=SQUARE, step=(3.0, 2.0), sdp=100 * 80.0, camera_cm=20.0, energy=200_000, frames=None):
    """NanoMEGAS block file: header of 240 bytes from the RosettaSciIO description, a navigator, patterns with a tag."""
    ny, nx, size, _ = cube.shape
    start = 0x1000 + ny * nx
    head = b"IMGBLO" + struct.pack("<HIIIHHHHHdd", 0x0102, 0x1000, start, 0, size, 0, nx, ny, 0, step[1], step[0])
    head += struct.pack("<IHI", energy, int(sdp), int(camera_cm * 100)) + bytes(8 + 8 * 8 + 8 * 14)
    patterns = cube.reshape(-1, size, size)[:frames].astype(np.uint8)
    with path.open("wb") as file:
        file.write(head.ljust(0x1000, b"\x00") + bytes(ny * nx))
        for n, pattern in enumerate(patterns):
            file.write(struct.pack("<HI", 0x55AA, n) + pattern.tobytes())
    return path


def write_mrc(path, cube=CUBE, mode=6, extended=b"", kind=b"", labels=(), endian="<"):
    """MRC2014: 1024 bytes, an extended header of ``nsymbt`` bytes (SERI: SerialEM, FEI1: Thermo), then sections."""
    frames = cube.reshape(-1, *cube.shape[-2:])
    nz, ny, nx = frames.shape
    head = struct.pack(f"{endian}10i", nx, ny, nz, mode, 0, 0, 0, nx, ny, nz)
    head += struct.pack(f"{endian}6f", nx, ny, nz, 90, 90, 90) + struct.pack(f"{endian}3i", 1, 2, 3)
    head += struct.pack(f"{endian}3f", 0, 200, 10) + struct.pack(f"{endian}2i", 0, len(extended))
    head = head.ljust(104, b"\x00") + kind.ljust(4, b"\x00") + struct.pack(f"{endian}i", 20140)
    head = head.ljust(208, b"\x00") + b"MAP " + (b"\x44\x44\x00\x00" if endian == "<" else b"\x11\x11\x00\x00")
    head = head.ljust(220, b"\x00") + struct.pack(f"{endian}i", len(labels))
    head += b"".join(text.ljust(80).encode("ascii") for text in labels)
    dtype = {0: "i1", 1: "i2", 2: "f4", 6: "u2"}[mode]
    path.write_bytes(head.ljust(1024, b"\x00") + extended + frames.astype(endian + dtype).tobytes())
    return path


def write_imagej(path, cube=CUBE, info="", labels=(), **metadata):
    """ImageJ stack: the counts of images in the description; Info and slice labels in private tags, big-endian."""
    import tifffile

    frames = cube.reshape(-1, *cube.shape[-2:])
    extra = {"Info": info} if info else {}
    if labels:
        extra["Labels"] = list(labels)
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"} | extra | metadata)
    return path


def write_imagej_virtual(path, cube=CUBE):
    """ImageJ above 4 GB: one directory for the first image, the others follow without a directory of their own."""
    frames = cube.reshape(-1, *cube.shape[-2:])
    n, ky, kx = frames.shape
    text = f"ImageJ=1.53t\nimages={n}\nframes={n}\nloop=false\n".encode() + b"\x00"
    tags = [(256, 3, 1, kx), (257, 3, 1, ky), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
    start = 8 + 2 + 12 * 10 + 4
    tags += [(270, 2, len(text), start), (273, 4, 1, start + len(text)), (277, 3, 1, 1), (278, 3, 1, ky)]
    tags += [(279, 4, 1, ky * kx * 2)]
    body = b"".join(
        struct.pack(">HHI", tag, kind, count)
        + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, count, value in tags
    )
    head = b"MM\x00*" + struct.pack(">I", 8) + struct.pack(">H", len(tags)) + body + bytes(4)
    path.write_bytes(head + text + frames.astype(">u2").tobytes())
    return path


def write_tiff(path, cube=CUBE, **how):
    import tifffile

    tifffile.imwrite(path, cube, **how)
    return path


def write_npy(path, cube=CUBE, **how):
    np.save(path, cube, **how)
    return path


def write_h5(path, arrays, attributes=None):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        for name, values in (attributes or {}).items():
            file[name].attrs.update(values)
    return path


def write_netcdf(path):
    """xarray.Dataset.to_netcdf of a user's own array, the detector first."""
    import xarray as xr

    coords = {"ky": 0.02 * (np.arange(12) - 5), "kx": 0.02 * (np.arange(10) - 5)}
    coords |= {"y": 2 * np.arange(3.0), "x": 3 * np.arange(4.0)}
    found = xr.Dataset({"patterns": (tuple(coords), CUBE.transpose(2, 3, 0, 1))}, coords=coords)
    for name, unit in zip(coords, ("1/angstrom", "1/angstrom", "nm", "nm"), strict=True):
        found[name].attrs["units"] = unit
    found.to_netcdf(path, engine="h5netcdf")
    return path


def write_zarr(path, cube=CUBE, zarr_format=2, name=None, attributes=None, dims=None):
    """zarr of any version; xarray marks dimensions with ``_ARRAY_DIMENSIONS`` (v2) or ``dimension_names`` (v3)."""
    import zarr

    how = {"dimension_names": dims} if dims and zarr_format == 3 else {}
    chunks = (1, 2, *cube.shape[2:])[: cube.ndim]
    if name is None:
        array = zarr.create_array(path, data=cube, chunks=chunks, zarr_format=zarr_format, **how)
    else:
        group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
        array = group.create_array(name, data=cube, chunks=chunks, **how)
    array.attrs.update(attributes or {})
    if dims and zarr_format == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
    return path


def write_empad(path, cube, series=False):
    """EMPAD: XML beside a .raw of 130 rows of 128 float32, of which the last two carry no pattern."""
    ny, nx = cube.shape[:2]
    raw = np.zeros((ny * nx, 130, 128), "<f4")
    raw[:, :128] = cube.reshape(-1, 128, 128)
    path.with_name(f"scan_x{nx}_y{ny}.raw").write_bytes(raw.tobytes())
    scan = f"<scan_parameters mode='acquire'><series_count>{ny * nx}</series_count></scan_parameters>" if series else ""
    size = "" if series else f"<pix_x>{nx}</pix_x><pix_y>{ny}</pix_y>"
    raw_file = f"<raw_file filename='scan_x{nx}_y{ny}.raw'/>"
    text = f"{raw_file}{size}{scan}<timestamp isoformat='2024-03-05T11:20:31'/>"
    path.write_text(f"<root>{text}</root>", encoding="utf-8")
    return path


def write_virtual(path, lose=False):
    """Virtual dataset over the file of a detector, which lies beside it."""
    master = path.with_name(f"{path.stem}_master.h5")
    write_dectris(master, per_file=12)
    source = path.with_name(f"{path.stem}_data_000001.h5")
    layout = h5py.VirtualLayout((12, 12, 10), "u4")
    layout[:] = h5py.VirtualSource(source.name, "entry/data/data", shape=(12, 12, 10))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("entry/data", layout)
    master.unlink()
    if lose:
        source.unlink()
    return path


def write_zarr_zip(path):
    import zarr

    with zarr.storage.ZipStore(path, mode="w") as store:
        array = zarr.create_array(store, shape=CUBE.shape, dtype=CUBE.dtype, chunks=(1, 4, 12, 10), zarr_format=2)
        array[:] = CUBE
    return path


def write_sharded(path):
    import zarr

    array = zarr.create_array(path, shape=CUBE.shape, dtype=CUBE.dtype, chunks=(1, 1, 12, 10), shards=(1, 4, 12, 10))
    array[:] = CUBE
    return path


def write_npz(path):
    np.savez(path, scan=CUBE, other=CUBE)
    return path
