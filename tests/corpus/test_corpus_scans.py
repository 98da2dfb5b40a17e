"""4D-STEM files as programs of the field write them: the right patterns and axes, or a refusal with a cure that works.

``scan_files`` holds the writers. A row says how its file is made, what is right, and why. ``refused`` is a pattern of
the message; the ``options`` of such a row are the cure, and the file then opens right.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phasekit as pk
from phasekit.errors import ReadError, SchemaError
from tests.corpus import scan_files as write
from tests.corpus.scan_files import BEAM, CUBE, NM, PER_NM, SQUARE, make_cube

ROW = CUBE.reshape(1, 12, 12, 10)
CONTENT_LOST = "cop(y|ied)|again|interrupted|cut"


class Scan(NamedTuple):
    name: str
    write: Callable[[Path], Path]
    why: str
    data: np.ndarray | None = CUBE
    step: Any = None
    q_step: Any = None
    beam: tuple[float, float] | None = None
    voltage: float | None = None
    comment: str = ""
    refused: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 -- never changed


def swapped(path, axes):
    """HyperSpy file of patterns that lie before the scan axes."""
    return write.write_hspy(path, CUBE.transpose(2, 3, 0, 1), axes=axes)


def without_flags(axis):
    return {key: value for key, value in axis.items() if key != "navigate"}


ORIGIN = {"qx0_mean": 6.8, "qy0_mean": 4.1, "probe_semiangle": 2.1}
PER_POSITION = {"qx0": np.full((3, 4), 7.0), "qy0": np.full((3, 4), 4.0), "qx0_mean": 7.0, "qy0_mean": 4.0}
MRAD = {"units": "mrad", "scale": 1.0, "offset": -5.0, "navigate": False}

PY4DSTEM = [
    Scan(
        "py4dstem_14_probe_and_scale.h5",
        partial(write.write_emdfile, calibration=ORIGIN, r=(2.5, "nm"), q=(0.02, "A^-1")),
        "emdfile writes dims from 0; the measured origin is qx0_mean (rows), qy0_mean (columns)",
        step=2.5,
        q_step=0.02,
        beam=(6.8, 4.1),
    ),
    Scan(
        "py4dstem_14_origin_per_position.h5",
        partial(write.write_emdfile, calibration=PER_POSITION, r=(25, "A"), q=(0.02, "A^-1")),
        "Calibration.set_origin stores arrays and means; 25 A are 2.5 nm",
        step=2.5,
        q_step=0.02,
        beam=BEAM,
    ),
    Scan(
        "py4dstem_14_uncalibrated.h5",
        write.write_emdfile,
        "units 'pixels', as import_file leaves them: no step is known, and the comment says so",
        comment="step",
    ),
    Scan(
        "py4dstem_14_origin_without_scale.h5",
        partial(write.write_emdfile, calibration=ORIGIN),
        "measure_origin before any scale: pixels, no invented 1/angstrom",
    ),
    Scan(
        "py4dstem_14_mrad.h5",
        partial(write.write_emdfile, calibration=ORIGIN, r=(1, "nm"), q=(1.0, "mrad")),
        "angles need the wavelength: 1 mrad at 200 kV (0.025079 A) is 0.03987 1/A",
        step=1,
        q_step=0.0398735,
        beam=(6.8, 4.1),
        options={"voltage_kv": 200},
        voltage=200,
    ),
    Scan(
        "py4dstem_14_mrad_without_voltage.h5",
        partial(write.write_emdfile, calibration=ORIGIN, r=(1, "nm"), q=(1.0, "mrad")),
        "the scale cannot be known: pixels, and the comment names the argument",
        step=1,
        comment="voltage_kv=",
    ),
    Scan(
        "py4dstem_14_and_virtual_images.h5",
        partial(
            write.write_emdfile, r=(2, "nm"), q=(0.02, "A^-1"), calibration=ORIGIN, extra=[("bf", CUBE[..., 0, 0])]
        ),
        "virtual images saved beside the cube are no second scan",
        step=2,
        q_step=0.02,
        beam=(6.8, 4.1),
    ),
    Scan(
        "py4dstem_14_two_cubes.h5",
        partial(write.write_emdfile, extra=[("binned", make_cube(ky=6, kx=5, beam=(3, 2)))]),
        "two cubes in one root: only the user knows which",
        refused="dataset",
        options={"dataset": "datacube_root/datacube/data"},
    ),
    Scan(
        "py4dstem_13.h5",
        partial(write.write_py4dstem_13, calibration=ORIGIN),
        "0.13: the same origin lies in _metadata/calibration of the array",
        step=2.5,
        q_step=0.02,
        beam=(6.8, 4.1),
    ),
    Scan(
        "py4dstem_12.h5",
        write.write_py4dstem_12,
        "0.12: '[pix]' axes, diffraction slices beside the cube are no scan",
        comment="step",
    ),
    Scan(
        "py4dstem_12_renamed.h5",
        partial(write.write_py4dstem_12, name="pos_3_binned"),
        "the cube's group is named by the user",
        comment="step",
    ),
    Scan(
        "only_bragg_vectors.h5",
        partial(write.write_h5, arrays={"4DSTEM/bragg/qx": np.arange(5.0), "4DSTEM/vbf/data": CUBE[..., 0, 0]}),
        "an analysis saved without its cube holds no patterns",
        data=None,
        refused="pattern|array",
    ),
    Scan(
        "ncem.emd",
        partial(write.write_ncem, steps=(4, 3, 0.25, 0.2), offsets=(0, 0, -1.75, -0.8)),
        "EMD 0.2 with [n_m] and [1/n_m]: per axis, the origin is in the dims",
        step=(4, 3),
        q_step=(0.025, 0.02),
        beam=BEAM,
    ),
    Scan(
        "ncem_detector_first.emd",
        partial(
            write.write_ncem,
            cube=CUBE.transpose(2, 3, 0, 1),
            names=("Qy", "Qx", "Ry", "Rx"),
            units=("[1/n_m]", "[1/n_m]", "[n_m]", "[n_m]"),
            steps=(0.25, 0.2, 4, 3),
            offsets=(-1.75, -0.8, 0, 0),
        ),
        "units tell the detector in EMD too",
        step=(4, 3),
        q_step=(0.025, 0.02),
        beam=BEAM,
    ),
    Scan(
        "ncem_angstrom.emd",
        partial(write.write_ncem, units=("[Å]", "[Å]", "[1/Å]", "[1/Å]"), steps=(40, 30, 0.025, 0.02)),
        "openNCEM writes units in UTF-8",
        step=(4, 3),
        q_step=(0.025, 0.02),
    ),
]

PYXEM = [{**NM, "name": "y"}, {**NM, "name": "x"}]
PYXEM += [{"name": n, "units": "$A^{-1}$", "scale": 0.02, "offset": -0.1, "navigate": False} for n in ("ky", "kx")]
HYPERSPY = [
    Scan(
        "hyperspy_1.hspy",
        partial(write.write_hspy, version="2.2", tem={"beam_energy": 80.0}),
        "HyperSpy 1.4: no _type; beam_energy is in kV",
        step=2,
        q_step=0.02,
        voltage=80,
    ),
    Scan(
        "pyxem.hspy",
        partial(write.write_hspy, axes=PYXEM),
        "pyxem's unit is TeX: $A^{-1}$",
        step=2,
        q_step=0.02,
        beam=(5, 5),
    ),
    Scan(
        "micrometres.hspy",
        partial(write.write_hspy, axes=[NM | {"units": "µm", "scale": 0.002}] * 2 + [PER_NM | {"units": "nm^-1"}] * 2),
        "a micro sign and nm^-1",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "metres_and_inverse_metres.hspy",
        partial(
            write.write_hspy,
            axes=[NM | {"units": "m", "scale": 2e-9}] * 2
            + [PER_NM | {"units": "1/m", "scale": 2e8, "offset": -1e9}] * 2,
        ),
        "LiberTEM-live and Velox exports keep SI units",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "mrad_and_voltage.hspy",
        partial(write.write_hspy, axes=[NM, NM, MRAD, MRAD], tem={"beam_energy": 300.0}),
        "1 mrad at 300 kV (0.019687 A) is 0.050794 1/A",
        step=2,
        q_step=0.0507942,
        beam=(5, 5),
        voltage=300,
    ),
    Scan(
        "mrad_without_voltage.hspy",
        partial(write.write_hspy, axes=[NM, NM, MRAD, MRAD]),
        "the wavelength is missing: pixels, and the comment names the argument",
        step=2,
        comment="voltage_kv=",
    ),
    Scan(
        "beam_energy_in_volts.hspy",
        partial(write.write_hspy, tem={"beam_energy": 200_000.0}),
        "no microscope has 200000 kV, and none 200 V of this kind: V was meant",
        step=2,
        q_step=0.02,
        voltage=200,
    ),
    Scan(
        "detector_first_flags_wrong.hspy",
        partial(swapped, axes=[PER_NM | {"navigate": True}] * 2 + [NM | {"navigate": False}] * 2),
        "1/nm is no scan: units tell which axes are the detector",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "detector_first_flags_right.hspy",
        partial(swapped, axes=[PER_NM, PER_NM, NM, NM]),
        "flags and units agree: the order in the file does not matter",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "detector_first_mixed.hspy",
        partial(
            swapped, axes=[PER_NM | {"navigate": True, "units": "rad", "scale": 1e-3, "offset": -5e-3}] * 2 + [NM] * 2
        ),
        "rad is an angle of the detector too: 1 mrad at 200 kV",
        step=2,
        q_step=0.0398735,
        options={"voltage_kv": 200},
        voltage=200,
    ),
    Scan(
        "px_units_detector_first.hspy",
        partial(
            swapped,
            axes=[{"units": "px", "scale": 1.0, "offset": 0.0, "navigate": False, "name": n} for n in "ab"]
            + [{"units": "", "scale": 1.0, "offset": 0.0, "navigate": True, "name": n} for n in "cd"],
        ),
        "no unit tells anything, the flags do",
    ),
    Scan(
        "all_navigation.hspy",
        partial(write.write_hspy, axes=[NM | {"units": "px", "scale": 1.0}] * 4),
        "as_signal1D and back lost the flags: nothing tells the detector",
        refused="dims=",
        options={"dims": ("scan_y", "scan_x", "qy", "qx")},
    ),
    Scan(
        "x_first.hspy",
        partial(
            write.write_hspy,
            cube=CUBE.transpose(1, 0, 3, 2),
            axes=[
                NM | {"name": "x"},
                NM | {"name": "y", "scale": 3.0},
                PER_NM | {"name": "kx"},
                PER_NM | {"name": "ky", "scale": 0.3, "offset": -1.5},
            ],
        ),
        "transposed axes carry their names",
        step=(3, 2),
        q_step=(0.03, 0.02),
        beam=(5, 5),
    ),
    Scan(
        "two_signals.hspy",
        partial(write.write_hspy, titles=("run 1", "run 2")),
        "two experiments in one file: only the user knows which",
        refused="dataset",
        options={"dataset": "run 2"},
        step=2,
        q_step=0.02,
    ),
    Scan(
        "line_scan.hspy",
        partial(write.write_hspy, cube=ROW[0], axes=[NM, PER_NM, PER_NM]),
        "one scan axis is one row",
        data=ROW,
        step=2,
        q_step=0.02,
    ),
    Scan(
        "time_series_of_scans.hspy",
        partial(write.write_hspy, cube=CUBE[None].repeat(2, 0), axes=[NM | {"units": "s"}, NM, NM, PER_NM, PER_NM]),
        "five axes are several scans: one must be chosen, or the file split",
        data=None,
        refused="scan of patterns",
    ),
    Scan("zspy_2.zspy", write.write_zspy, "HyperSpy 2 on zarr 2", step=2, q_step=0.02),
    Scan("zspy_3.zspy", partial(write.write_zspy, zarr_format=3), "HyperSpy 2.4 on zarr 3", step=2, q_step=0.02),
    Scan(
        "zspy_markers.zspy",
        partial(write.write_zspy, markers=True),
        "the object array of markers is not the patterns",
        step=2,
        q_step=0.02,
    ),
]


def dectris_cut(path):
    """A master whose second data file was not copied."""
    return write.write_dectris(path, missing=(2,))


def dectris_masked(path):
    write.write_dectris(path, per_file=12)
    with h5py.File(path.with_name("masked_data_000001.h5"), "r+") as part:
        part["entry/data/data"][:, 3, 3] = 2**32 - 1
    return path


MERLIN = CUBE[:, :, ::-1]  # RosettaSciIO and pyxem turn Merlin's frames, whose first row is the lowest
MASKED = ROW.astype(np.uint32)
MASKED[..., 3, 3] = 2**32 - 1
EMPAD = make_cube(2, 3, 128, 128, (64, 60), np.float32)
DETECTORS = [
    Scan(
        "scan_master.h5",
        write.write_dectris,
        "frames of all linked files in their order; the mask and flatfield are no frames",
        data=ROW.astype(np.uint32),
        comment="scan_shape",
    ),
    Scan(
        "scan_shape_master.h5",
        partial(write.write_dectris, per_file=4),
        "the scan is not in a master file: scan_shape folds the frames",
        data=CUBE.astype(np.uint32),
        options={"scan_shape": (3, 4)},
    ),
    Scan(
        "missing_master.h5",
        dectris_cut,
        "frames 6 to 10 lie in a file that is not there: its name must be said",
        data=None,
        refused=r"missing_data_000002",
    ),
    Scan(
        "masked_master.h5",
        dectris_masked,
        "2^32-1 marks masked pixels in every frame: kept as they are, for the detector mask",
        data=MASKED,
    ),
    Scan(
        "nxdata.nxs",
        write.write_nxdata,
        "NXdata: signal and axes attributes",
        step=2,
        q_step=0.02,
        beam=(5, 5),
    ),
    Scan(
        "nxdata_x_first.nxs",
        partial(
            write.write_nxdata, cube=CUBE.transpose(1, 0, 3, 2), axes=("x", "y", "kx", "ky"), steps=(3, 2, 0.2, 0.1)
        ),
        "the names of the axes tell rows from columns",
        step=(2, 3),
        q_step=(0.01, 0.02),
    ),
    Scan(
        "nxdata_indices.nxs",
        partial(write.write_nxdata, indices=True),
        "NXdata without axes, but with AXISNAME_indices",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "nxdata_linked.nxs",
        partial(write.write_nxdata, link="entry/instrument/detector/data"),
        "NXdata holds a link to the detector's array: one array with two names",
        step=2,
        q_step=0.02,
    ),
    Scan(
        "merlin.mib",
        write.write_mib,
        "no .hdr: the scan is unknown, the comment says so",
        data=MERLIN.reshape(ROW.shape),
        comment="scan_shape",
    ),
    Scan(
        "merlin_hdr.mib",
        partial(write.write_mib, hdr=True),
        "the .hdr has 4 frames per trigger: lines of 4",
        data=MERLIN,
    ),
    Scan(
        "merlin_stopped.mib",
        partial(write.write_mib, frames=7),
        "7 of 12 frames, no .hdr: all 7 can be reached",
        data=MERLIN.reshape(ROW.shape)[:, :7],
    ),
    Scan(
        "merlin_stopped_hdr.mib",
        partial(write.write_mib, frames=7, hdr=True),
        "7 of 12 frames: no line is lost in silence; one complete row of 4 can be asked for",
        data=MERLIN[:1],
        options={"scan_shape": (1, 4)},
        comment="3",
    ),
    Scan(
        "merlin_8_bit.mib",
        partial(write.write_mib, cube=CUBE.astype(np.uint8), kind="U08"),
        "6-bit mode is written as U08",
        data=MERLIN.reshape(ROW.shape).astype(np.uint8),
    ),
    Scan(
        "merlin_raw.mib",
        partial(write.write_mib, kind="R64"),
        "raw chip data needs unpacking: an unsupported variant, not damage",
        data=None,
        refused="(?i)raw",
    ),
    Scan(
        "astar.blo",
        write.write_blockfile,
        "80 px/cm at 200 mm: 0.625 mrad; at 200 kV 0.02492 1/A; steps per axis (SX is x)",
        data=SQUARE.astype(np.uint8),
        step=(3, 2),
        q_step=0.0249209,
        voltage=200,
    ),
    Scan(
        "empad.xml",
        partial(write.write_empad, cube=EMPAD),
        "128 of 130 rows are the pattern; without calibration in pixels",
        data=EMPAD,
    ),
]
INFO = "\n".join(f"key {n} = value {n}" for n in range(3000))
UNITS = {  # as written in files: what they are
    "1 / Å": 0.02,
    "Å⁻¹": 0.02,
    "$\\AA^{-1}$": 0.02,
    "$\\mathrm{\\AA}^{-1}$": 0.02,
    "1/AA": 0.02,
    "Ang^-1": 0.02,
    "reciprocal angstrom": 0.02,
    "inverse nm": 0.2,
    "nm$^{-1}$": 0.2,
    "nm-1": 0.2,
    "1/µm": 200.0,
    "pm^-1": 0.0002,
}
LENGTHS = {"Å": 20.0, "AA": 20.0, "angstrom": 20.0, "micrometer": 0.002, "nanometres": 2.0, "pm": 2000.0, "μm": 0.002}
WRITTEN = [
    *(
        Scan(
            f"unit_{n}.hspy",
            partial(
                write.write_hspy,
                axes=[NM, NM, *([PER_NM | {"units": unit, "scale": scale, "offset": -5 * scale}] * 2)],
            ),
            f"a unit of the detector: {unit}",
            step=2,
            q_step=0.02,
            beam=(5, 5),
        )
        for n, (unit, scale) in enumerate(UNITS.items())
    ),
    *(
        Scan(
            f"length_{n}.hspy",
            partial(write.write_hspy, axes=[*([NM | {"units": unit, "scale": scale}] * 2), PER_NM, PER_NM]),
            f"a unit of the scan: {unit}",
            step=2,
            q_step=0.02,
        )
        for n, (unit, scale) in enumerate(LENGTHS.items())
    ),
    Scan(
        "two_pi.hspy",
        partial(write.write_hspy, axes=[NM, NM, *([PER_NM | {"units": "rad/nm"}] * 2)]),
        "rad/nm is 2 pi / d or an angle per length: not decided, pixels, and the comment says so",
        step=2,
        comment="q_step=",
    ),
    Scan(
        "step_in_mm.hspy",
        partial(write.write_hspy, axes=[NM | {"units": "mm"}] * 2 + [PER_NM] * 2),
        "no probe steps by 2 mm",
        refused="step_nm=<step in nm>",
        options={"step_nm": 2},
        step=2,
        q_step=0.02,
    ),
    Scan(
        "step_in_mm_meant.hspy",
        partial(write.write_hspy, axes=[NM | {"units": "mm"}] * 2 + [PER_NM] * 2),
        "the message names the rule that says: it is right",
        refused="accept='step_nm'",
        options={"accept": "step_nm"},
        step=2e6,
        q_step=0.02,
    ),
    Scan(
        "q_in_per_metre.h5",
        partial(write.write_emdfile, calibration=ORIGIN, r=(2, "nm"), q=(20, "A^-1")),
        "20 1/angstrom a pixel: another unit was meant",
        refused="q_step=<1/angstrom per pixel>",
        options={"q_step": 0.02},
        step=2,
        q_step=0.02,
        beam=(6.8, 4.1),
    ),
    Scan(
        "beam_outside.h5",
        partial(write.write_emdfile, calibration={"qx0_mean": 68.0, "qy0_mean": 41.0}, r=(2, "nm"), q=(0.02, "A^-1")),
        "an origin measured before the detector was binned",
        refused="direct_beam_px=",
        options={"direct_beam_px": BEAM},
        step=2,
        q_step=0.02,
        beam=BEAM,
    ),
    Scan(
        "voltage.hspy",
        partial(write.write_hspy, tem={"beam_energy": 2e9}),
        "no unit makes this a microscope",
        refused="voltage_kv=<voltage in kV>",
        options={"voltage_kv": 200},
        step=2,
        q_step=0.02,
        voltage=200,
    ),
    Scan(
        "cut.blo",
        partial(write.write_blockfile, frames=7),
        "7 of 12 patterns: the complete row keeps the step of the header",
        data=SQUARE[:1].astype(np.uint8),
        step=(3, 2),
        q_step=0.0249209,
        voltage=200,
        comment="3 recorded patterns",
        refused=r"scan_shape=\(1, 4\)",
        options={"scan_shape": (1, 4)},
    ),
]
TIFF = [
    Scan("imagej.tif", write.write_imagej, "one row of images", data=ROW),
    Scan("imagej_info.tif", partial(write.write_imagej, info=INFO), "60 kB of Info are no damage", data=ROW),
    Scan(
        "imagej_labels.tif",
        partial(write.write_imagej, labels=[f"pos {n}" for n in range(12)], info=INFO, spacing=2.0, unit="nm"),
        "slice labels, spacing and unit",
        data=ROW,
    ),
    Scan(
        "imagej_labels_folded.tif",
        partial(write.write_imagej, labels=[f"pos {n}" for n in range(12)], info="short"),
        "folded by scan_shape",
        options={"scan_shape": (3, 4)},
    ),
    Scan("imagej_virtual.tif", write.write_imagej_virtual, "ImageJ writes one directory above 4 GB", data=ROW),
    Scan("shaped.tif", partial(write.write_tiff, photometric="minisblack"), "tifffile notes the shape (3, 4, 12, 10)"),
    Scan(
        "pages.tif",
        partial(write.write_tiff, cube=ROW[0], photometric="minisblack", metadata=None, compression="zlib"),
        "plain pages, compressed",
        data=ROW,
    ),
    Scan(
        "ome.ome.tif",
        partial(write.write_tiff, cube=ROW[0], photometric="minisblack", ome=True, metadata={"axes": "TYX"}),
        "OME series of 12 times",
        data=ROW,
    ),
    Scan(
        "big.btf", partial(write.write_tiff, cube=ROW[0], bigtiff=True, photometric="minisblack"), "BigTIFF", data=ROW
    ),
]
SERIAL_EM = np.arange(12 * 7, dtype="<i2").tobytes()
FEI = bytes(12 * 128)
MRC = [
    Scan("plain.mrc", write.write_mrc, "MRC2014 mode 6", data=ROW),
    Scan(
        "serialem.mrc",
        partial(write.write_mrc, extended=SERIAL_EM, kind=b"SERI", labels=["SerialEM: Digitized on FEI Titan"]),
        "nsymbt bytes of tilt angles and intensities lie before the data",
        data=ROW,
    ),
    Scan("fei.mrc", partial(write.write_mrc, extended=FEI, kind=b"FEI1"), "FEI1: 128 bytes a section", data=ROW),
    Scan("float.mrc", partial(write.write_mrc, mode=2), "mode 2", data=ROW.astype(np.float32)),
    Scan("big_endian.mrc", partial(write.write_mrc, endian=">"), "machine stamp 0x1111", data=ROW),
    Scan(
        "folded.mrcs",
        write.write_mrc,
        ".mrcs is the stack's ending",
        options={"scan_shape": (3, 4)},
    ),
]


def cut(make, share=0.6):
    """A file of which the end is missing."""

    def write_cut(path):
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return write_cut


def text_file(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 81234\n", encoding="ascii")
    return path


def empty(path):
    path.touch()
    return path


def web_page(path):
    path.write_text("<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>", encoding="ascii")
    return path


def numbers_of(cube):
    return {"scan": cube, "scan_2": cube}


ARRAYS = [
    Scan("plain.npy", write.write_npy, "four axes: scan first", comment="step"),
    Scan("fortran.npy", partial(write.write_npy, cube=np.asfortranarray(CUBE)), "column-major is a layout only"),
    Scan("big_endian.npy", partial(write.write_npy, cube=CUBE.astype(">u2")), "byte order is a layout only"),
    Scan(
        "line.npy",
        partial(write.write_npy, cube=ROW[0]),
        "a line is a row unless scan_shape folds it",
        options={"scan_shape": (3, 4)},
    ),
    Scan(
        "wrong_shape.npy",
        partial(write.write_npy, cube=ROW[0][:11]),
        "11 patterns make no 3 x 4 map; as one row they open",
        data=ROW[:, :11],
        options={"scan_shape": (1, 11)},
    ),
    Scan(
        "detector_first.npy",
        partial(write.write_npy, cube=CUBE.transpose(2, 3, 0, 1)),
        "nothing in a .npy tells its axes: dims does",
        options={"dims": ("qy", "qx", "scan_y", "scan_x")},
    ),
    Scan(
        "objects.npy",
        partial(write.write_npy, cube=np.array([{"a": 1}, None], dtype=object), allow_pickle=True),
        "pickled objects are code, not patterns",
        data=None,
        refused="object|pickle",
    ),
    Scan("one_pattern.npy", partial(write.write_npy, cube=CUBE[0, 0]), "a scan of one position", data=CUBE[:1, :1]),
    Scan("five.npy", partial(write.write_npy, cube=CUBE[None]), "five axes", data=None, refused="5|five|dim|axes"),
    Scan("cut.npy", cut(write.write_npy), "bytes are missing", data=None, refused=CONTENT_LOST),
    Scan("cut.hspy", cut(write.write_hspy, 0.5), "bytes are missing", data=None, refused=CONTENT_LOST),
    Scan("cut.mrc", cut(write.write_mrc), "whole frames open, the rest is told", data=ROW[:, :5], comment="5 complete"),
    Scan("pointer.npy", text_file, "a pointer of Git LFS instead of the file", data=None, refused="git lfs pull"),
    Scan("page.hspy", web_page, "the login page of a server", data=None, refused="web page"),
    Scan("plain.h5", partial(write.write_h5, arrays={"scan": CUBE, "sum": CUBE.sum((2, 3))}), "one array of four axes"),
    Scan(
        "several.h5",
        partial(write.write_h5, arrays=numbers_of(CUBE)),
        "two arrays of four axes",
        refused="dataset",
        options={"dataset": "scan_2"},
    ),
    Scan(
        "linked.h5",
        partial(
            write.write_h5,
            arrays={"entry/detector/data": CUBE, "entry/data/data": h5py.SoftLink("/entry/detector/data")},
        ),
        "one array with two names is one array",
    ),
    Scan(
        "virtual.nxs",
        write.write_virtual,
        "Diamond and ESRF write virtual datasets over the detector's files",
        data=ROW.astype(np.uint32),
    ),
    Scan(
        "virtual_alone.nxs",
        partial(write.write_virtual, lose=True),
        "without the detector's file HDF5 gives zeros",
        data=None,
        refused="virtual_alone_data_000001.h5",
    ),
    Scan(
        "stempy.h5",
        partial(write.write_h5, arrays={"frames": ROW[0], "stem/images": CUBE[..., 0, 0][None].repeat(2, 0)}),
        "stempy: frames are the patterns, stem/images two virtual images; the names tell only a reader of its manual",
        refused="dataset",
        options={"dataset": "frames", "scan_shape": (3, 4)},
    ),
    Scan("zarr_2.zarr", write.write_zarr, "zarr 2 array"),
    Scan("packed.zarr.zip", write.write_zarr_zip, "zarr's ZipStore"),
    Scan("two.npz", write.write_npz, "an archive of arrays", data=None, refused="unpack it"),
    Scan("sharded.zarr", write.write_sharded, "zarr 3 with shards"),
    Scan("zarr_3.zarr", partial(write.write_zarr, zarr_format=3), "zarr 3 array"),
    Scan("group_2.zarr", partial(write.write_zarr, name="data"), "zarr 2 group of one array"),
    Scan(
        "xarray_2.zarr",
        partial(write.write_zarr, cube=CUBE.transpose(2, 3, 0, 1), name="data", dims=("qy", "qx", "scan_y", "scan_x")),
        "xarray's names of dimensions tell the axes, whatever their order",
    ),
    Scan(
        "xarray_3.zarr",
        partial(
            write.write_zarr,
            cube=CUBE.transpose(2, 3, 0, 1),
            name="data",
            dims=("ky", "kx", "y", "x"),
            zarr_format=3,
        ),
        "zarr 3 keeps dimension_names in the array's own metadata",
    ),
    Scan(
        "xarray.nc",
        write.write_netcdf,
        "xarray without phasekit: dimension scales name the axes and hold the positions",
        step=(2, 3),
        q_step=0.02,
        beam=(5, 5),
    ),
    Scan("empty.h5", empty, "0 bytes", data=None, refused=CONTENT_LOST),
]
ROWS = [*PY4DSTEM, *HYPERSPY, *DETECTORS, *WRITTEN, *TIFF, *MRC, *ARRAYS]


def check(row, found):
    assert dict(found.sizes) == dict(zip(("scan_y", "scan_x", "qy", "qx"), row.data.shape, strict=True)), row.why
    assert_array_equal(found.intensity.values, row.data, err_msg=row.why)
    for dim, step in zip(("scan_y", "scan_x"), np.broadcast_to(1 if row.step is None else row.step, 2), strict=True):
        assert_allclose(np.diff(found[dim].values), step, rtol=1e-5, err_msg=row.why)
    unit = "px" if row.q_step is None else "1/angstrom"
    assert found.qy.attrs["units"] == found.qx.attrs["units"] == unit, row.why
    q_steps = [float(np.diff(found[q].values).mean()) for q in ("qy", "qx")]
    assert_allclose(q_steps, np.broadcast_to(row.q_step or 1, 2), rtol=1e-4, err_msg=row.why)
    if row.beam:
        pixel = [-found[q].values[0] / step for q, step in zip(("qy", "qx"), q_steps, strict=True)]
        assert_allclose(pixel, row.beam, atol=1e-3, err_msg=row.why)
    assert found.attrs.get("voltage_kv") == (None if row.voltage is None else pytest.approx(row.voltage)), row.why
    comments = [found.attrs.get("comment", ""), *(found[dim].attrs.get("comment", "") for dim in found.coords)]
    assert row.comment in "; ".join(comments), row.why


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_scans_open_right_or_say_what_decides(row, tmp_path):
    path = row.write(tmp_path / row.name)
    if row.refused:
        with pytest.raises((ReadError, SchemaError), match=row.refused) as error:
            pk.io.open_4dstem(path).load()
        message = str(error.value)
        assert "To fix it" in message or isinstance(error.value, SchemaError), message
        if row.refused != CONTENT_LOST and not row.name.startswith("cut"):
            assert "again" not in message, "no byte is missing"
    if row.data is not None:
        check(row, pk.io.open_4dstem(path, **row.options))
