"""Writers of small crystal and 4D-STEM files, shared by the tests beside this one."""

import h5py
import numpy as np


def cif(cell, symmetry, atoms, name="demo", extra=""):
    """CIF text of a cell (6 numbers), symmetry lines (list) or space-group tags (dict), and atoms (rows)."""
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{tag} {value}" for tag, value in zip(tags, cell, strict=True)), extra]
    if isinstance(symmetry, dict):
        lines += [f"{tag} '{value}'" for tag, value in symmetry.items()]
    else:
        lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{line}'" for line in symmetry)]
    lines += ["loop_", "_atom_site_label", *(f"_atom_site_fract_{axis}" for axis in "xyz"), "_atom_site_occupancy"]
    lines += [" ".join(map(str, (*row, 1)[:5])) for row in atoms]
    return "\n".join(lines) + "\n"


PNMA = ["x,y,z", "1/2-x,-y,1/2+z", "-x,1/2+y,-z", "1/2+x,1/2-y,1/2-z"]
PNMA += ["-x,-y,-z", "1/2+x,y,1/2-z", "x,1/2-y,z", "1/2-x,1/2+y,1/2+z"]
P21C = ["x,y,z", "-x,1/2+y,1/2-z", "-x,-y,-z", "x,1/2-y,1/2+z"]
# LiFePO4 in Pnma: Streltsov et al., Acta Cryst. B 49 (1993) 147
LFP_CELL = (10.332, 6.010, 4.692, 90, 90, 90)
LFP = [
    ("Li1", 0, 0, 0),
    ("Fe1", 0.28222, 0.25, 0.97472),
    ("P1", 0.09486, 0.25, 0.41820),
    ("O1", 0.09678, 0.25, 0.74279),
    ("O2", 0.45710, 0.25, 0.20602),
    ("O3", 0.16558, 0.04646, 0.28478),
]
CUBIC = (3.5239, 3.5239, 3.5239, 90, 90, 90)


def write_hspy(path, data, *, units=("nm", "nm", "$A^{-1}$", "$A^{-1}$"), group=None):
    """HyperSpy layout: HDF5, or the zarr group given."""
    root = h5py.File(path, "w") if group is None else group
    signal = root.create_group("Experiments/__unnamed__")
    if group is None:
        signal.create_dataset("data", data=data, chunks=(1, 2, *data.shape[2:]), compression="gzip")
    else:
        signal.create_array("data", data=data, chunks=(1, 2, *data.shape[2:]))
    scales, offsets = (2.0, 3.0, 0.01, 0.02), (10.0, 20.0, -0.03, -0.08)
    for n, unit in enumerate(units):
        axis = signal.create_group(f"axis-{n}")
        axis.attrs.update(name="yxkk"[n], navigate=n < 2, size=data.shape[n], units=unit)
        axis.attrs.update(scale=scales[n], offset=offsets[n])
    signal.create_group("metadata/Acquisition_instrument/TEM").attrs["beam_energy"] = 200.0
    if group is None:
        root.close()
    return path


def write_py4dstem(path, data, *, layout="0.14"):
    """DataCube of py4DSTEM 0.13/0.14 (EMD 1.0) or up to 0.12 (4DSTEM_experiment)."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"] = 1 if layout == "0.14" else 0
        where = "root/datacube" if layout == "0.14" else "4DSTEM_experiment/data/datacubes/datacube_0"
        cube = file.create_group(where)
        cube.create_dataset("data", data=data)
        first = 0 if layout == "0.14" else 1
        for n, size in enumerate(data.shape):
            dim = cube.create_dataset(f"dim{n + first}", data=np.arange(size, dtype=float))
            dim.attrs.update(name=("Rx", "Ry", "Qx", "Qy")[n], units="pixels")
        steps = {"Q_pixel_size": 0.02, "R_pixel_size": 5.0, "qx0_mean": 2.0, "qy0_mean": 7.0}
        units = {"Q_pixel_units": "A^-1", "R_pixel_units": "A"}
        if layout == "0.14":
            calibration = file.create_group("root/metadatabundle/calibration")
            for key, value in {**steps, **units, "QR_flip": True}.items():
                calibration.create_dataset(key, data=value)
        else:
            calibration = file.create_group("4DSTEM_experiment/metadata/metadata_0/calibration")
            calibration.attrs.update(steps)
            calibration.attrs.update({"Q_pixel_size_units": "A^-1", "R_pixel_size_units": "A"})
    return path


def write_mib(path, data, *, kind=None, hdr=None, header=384, stamps=None):
    """Merlin recording of (..., y, x), lowest row first; ``hdr`` are the values of the file beside it."""
    flat = data.reshape(-1, *data.shape[-2:])
    kind = kind or {1: "U08", 2: "U16", 4: "U32"}[data.dtype.itemsize]
    with open(path, "wb") as file:
        for number, frame in enumerate(flat):
            stamp = str(np.datetime64("2026-05-07T16:00:00", "ns") + np.timedelta64(number, "ms"))
            stamp = stamp if stamps is None else str(stamps[number])
            layout = "01,0001,1x1" if header == 384 else "04,000F,2x2"
            text = f"MQ1,{number + 1:06d},{header:05d},{layout[:2]},{frame.shape[1]:04d},{frame.shape[0]:04d},{kind},"
            text += f"   {layout[-3:]},01,{stamp.replace('T', ' ')[:26]},0.001000,0,0,0,1.2E2,5.1E2,"
            text += f"MQ1A,{stamp}Z,1000000ns,6,"
            file.write(text.encode("ascii").ljust(header, b"\0"))
            file.write(np.ascontiguousarray(frame[::-1]).astype(frame.dtype.newbyteorder(">")).tobytes())
    if hdr is not None:
        lines = ["HDR,", *(f"{key}:\t{value}" for key, value in hdr.items()), "End\t"]
        path.with_suffix(".hdr").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_raw_mib(path, bits, *, quad=False, depth=1):
    """Merlin recording in raw mode of (n, y, x): whole numbers of 64 pixels, pixel k is bit k; chips side by side."""
    header = 768 if quad else 384
    with open(path, "wb") as file:
        for number, frame in enumerate(bits):
            stored = frame[::-1].astype(object)
            half = stored.shape[0] // 2, stored.shape[1] // 2
            if quad:
                low, high = np.split(stored, 2)
                turned = [part[::-1, ::-1] for part in (high[:, half[1] :], high[:, : half[1]])]
                stored = np.concatenate([*turned, low[:, half[1] :], low[:, : half[1]]], axis=1)
            rows, columns = stored.shape
            text = f"MQ1,{number + 1:06d},{header:05d},{4 if quad else 1:02d},{columns:04d},{rows:04d},R64,"
            text += f"   {'2x2' if quad else '1x1'},01,2026-05-07 16:00:00.000000,0.001,0,0,0,MQ1A,"
            text += f"2026-05-07T16:00:00.{number:09d}Z,1000000ns,{depth},"
            file.write(text.encode("ascii").ljust(header, b"\0"))
            for word in stored.reshape(-1, 64):
                file.write(sum(int(bit) << k for k, bit in enumerate(word)).to_bytes(8, "big"))
    return path


def write_tvips(path, data, *, first=0, voltage=200, mode=2, version=2, text=b"TVIPS TVIPS"):
    """Part of a TVIPS recording of (n, y, x); only the part with ``first`` = 0 has the general header."""
    rows, columns = data.shape[1:]
    before = 12 if version == 1 else 64
    sizes = (256, version, columns, rows, 8 * data.dtype.itemsize, 0, 0, 1, 1, 15500, voltage, 100, before)
    with open(path, "wb") as file:
        if first == 0:
            file.write(np.array(sizes, "<u4").tobytes() + text.ljust(204, b"\0"))
        for number, frame in enumerate(data):
            words = np.zeros(before // 4, "<u4")
            words[0] = first + number
            if version == 2:
                words[6] = mode
            file.write(words.tobytes() + frame.astype(frame.dtype.newbyteorder("<")).tobytes())
    return path


def write_mrc(path, data, *, mode=None, order="<", extended=0, sections=None):
    """MRC2014 stack of (n, y, x)."""
    n, rows, columns = data.shape
    mode = {"u1": 0, "i2": 1, "f4": 2, "u2": 6}[data.dtype.str[1:]] if mode is None else mode
    words = np.zeros(256, f"{order}i4")
    words[:4] = columns, rows, n if sections is None else sections, mode
    words[23] = extended
    head = bytearray(words.tobytes())
    head[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    path.write_bytes(bytes(head) + bytes(extended) + data.astype(data.dtype.newbyteorder(order)).tobytes())
    return path


def write_empad(path, n):
    """EMPAD recording: n frames of 128 x 128 whose values are the number of the frame, with two lines of footer."""
    frames = np.zeros((n, 130, 128), "<f4")
    frames[:, :128] = np.arange(n, dtype="f4")[:, None, None]
    frames[:, 128:] = -7
    path.write_bytes(frames.tobytes())
    return path


def write_ripple(path, data):
    """Lispix text description, and the values of (n, y, x) in a ``.raw`` file beside it."""
    flat = data.reshape(-1, *data.shape[-2:])
    flat.astype("<u2").tofile(path.with_suffix(".raw"))
    rows = {"width": flat.shape[2], "height": flat.shape[1], "depth": flat.shape[0], "offset": 0, "data-length": 2}
    rows |= {"data-type": "unsigned", "byte-order": "little-endian", "record-by": "image"}
    text = "".join(f"{key}\t{value}\n" for key, value in {"key": "value", **rows}.items())
    path.write_text(text, encoding="utf-8")
    return path


def write_app5(path, data, *, n=None, row=4, unit="Angle", voltage=200_000, step=1e-4):
    """TopSpin's layout of (n, y, x), the first ``n`` patterns: one group per pattern with its position [m]."""
    scan = "a0dba950-15bf-4a74-a81c-9cea8560c2c8"
    axis = "<{0}><Offset>{1}</Offset><Scale>{2}</Scale><Type><Index>2</Index><Text>{3}</Text></Type></{0}>"
    with h5py.File(path, "w") as file:
        hardware = f"<Item><Name>GunHighVoltage</Name><Value>{voltage}</Value></Item>"
        file["Metadata"] = np.bytes_(f"<Metadata><HardwareSettings>{hardware}</HardwareSettings></Metadata>")
        for number, frame in enumerate(data[:n]):
            axes = "".join(axis.format(k, -step * 4, step, unit) for k in "XY")
            place = f"<X>{1e-7 + 2e-9 * (number % row)}</X><Y>{3e-7 + 3e-9 * (number // row)}</Y>"
            item = f"<Metadata><Item><Name>P</Name><Value>{place}</Value></Item></Metadata>"
            group = file.create_group(f"{scan}/{number}")
            group["Data"] = frame
            text = f"<Metadata><Calibration>{axes}</Calibration>{item}</Metadata>"
            group["Metadata"] = np.bytes_(f'<?xml version="1.0" encoding="utf-16"?>\n{text}')
    return path
