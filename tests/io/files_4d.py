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
