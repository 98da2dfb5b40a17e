"""Every registered format is documented, opens a file of its own, and refuses what it is not.

A new format needs one line in ``EXAMPLES``: how a small file of it is written.
"""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

import phasekit as pk
from phasekit.errors import ReadError
from phasekit.io.formats import list_formats
from phasekit.io.formats.registry import INSTRUMENTS, find_format, iterate_formats
from phasekit.io.writers import list_writers
from phasekit.schema import PATTERNS, describe
from tests.io import stack_files
from tests.io.files_4d import CUBIC, cif, write_app5, write_empad, write_mib, write_mrc, write_ripple, write_tvips

COUNTS = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)
FORMATS = [(instrument, form) for instrument in INSTRUMENTS for form in iterate_formats(instrument)]
OPEN = {"stxm": pk.io.open_stxm, "fourdstem": pk.io.open_4dstem, "crystal": pk.io.open_phase}


def patterns():
    data = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), COUNTS)})
    return describe(data, PATTERNS, step="demo", settings={})


def plain_hdf5(path):
    with h5py.File(path, "w") as file:
        file["scan"] = COUNTS


EXAMPLES = {
    ("stxm", "phasekit"): ("a.nc", lambda path, stxm: pk.io.save(pk.io.open_stxm(stxm.ncb(f"{path}.ncb")), path)),
    ("stxm", "Data Exchange"): ("a.hdf5", lambda path, stxm: stack_files.mantis(path)),
    ("stxm", "Mistral"): ("a.hdf5", lambda path, stxm: stack_files.mistral(path, kind="aligned")),
    ("stxm", "pystxmcontrol"): ("a.stxm", lambda path, stxm: stack_files.pystxmcontrol_2(path, binned=True)),
    ("stxm", "NXstxm"): ("a.hdf5", lambda path, stxm: stxm.pollux(path)),
    ("stxm", "TIFF"): ("a.tif", lambda path, stxm: stxm.tiff(path)),
    ("stxm", "SDF"): ("a.hdr", lambda path, stxm: stxm.sdf(path)),
    ("stxm", "aXis2000"): ("a.ncb", lambda path, stxm: stxm.ncb(path)),
    ("fourdstem", "phasekit"): ("a.zarr", lambda path, stxm: pk.io.save(patterns(), path)),
    ("fourdstem", "zarr"): ("a.zarr", lambda path, stxm: zarr.create_array(path, data=COUNTS)),
    ("fourdstem", "HDF5"): ("a.h5", lambda path, stxm: plain_hdf5(path)),
    ("fourdstem", "NumPy"): ("a.npy", lambda path, stxm: np.save(path, COUNTS)),
    ("fourdstem", "TIFF"): ("a.tif", lambda path, stxm: tifffile.imwrite(path, COUNTS, photometric="minisblack")),
    ("fourdstem", "Merlin"): ("a.mib", lambda path, stxm: write_mib(path, COUNTS)),
    ("fourdstem", "TVIPS"): ("a_000.tvips", lambda path, stxm: write_tvips(path, COUNTS.reshape(6, 8, 8))),
    ("fourdstem", "MRC"): ("a.mrc", lambda path, stxm: write_mrc(path, COUNTS.reshape(6, 8, 8))),
    ("fourdstem", "EMPAD"): ("scan_x3_y2.raw", lambda path, stxm: write_empad(path, 6)),
    ("fourdstem", "NanoMEGAS block file"): ("a.blo", lambda path, stxm: pk.io.save_blo(patterns(), path, scale=1)),
    ("fourdstem", "TopSpin"): ("a.app5", lambda path, stxm: write_app5(path, COUNTS.reshape(6, 8, 8), row=3)),
    ("fourdstem", "RosettaSciIO"): ("a.rpl", lambda path, stxm: write_ripple(path, COUNTS)),
    ("crystal", "CIF"): (
        "a.cif",
        lambda path, stxm: path.write_text(
            cif(CUBIC, {"_space_group_IT_number": 225}, [("Ni", 0, 0, 0)]), encoding="utf-8"
        ),
    ),
}


@pytest.fixture(params=FORMATS, ids=lambda pair: f"{pair[0]} {pair[1].name}")
def registered(request):
    return request.param


def test_documented(registered):
    instrument, form = registered
    assert (sys.modules[form.read.__module__].__doc__ or "").strip()
    assert form.read.__doc__
    assert form.recognise.__doc__
    assert form.keeps
    assert all(ending.startswith(".") and ending == ending.lower() for ending in form.extensions)
    rows = [row for row in list_formats() if row.name == form.name and row.function == OPEN[instrument].__name__]
    assert [row.endings.split() for row in rows] == [list(form.extensions)]


def test_recognises_and_opens_a_file_of_its_own(registered, tmp_path, stxm):
    instrument, form = registered
    name, write = EXAMPLES[instrument, form.name]
    write(tmp_path / name, stxm)
    assert find_format(tmp_path / name, instrument).name == form.name
    assert OPEN[instrument](tmp_path / name) is not None


@pytest.mark.filterwarnings("ignore")  # what file libraries say about noise
def test_refuses_noise_with_its_ending(registered, tmp_path):
    instrument, form = registered
    for ending in form.extensions:
        path = tmp_path / f"noise{ending}"
        path.write_bytes(np.random.default_rng(0).bytes(3000))
        with pytest.raises(ReadError) as caught:
            OPEN[instrument](path)
        assert str(path) in str(caught.value)


def test_files_of_other_formats_go_to_their_own_reader(registered, tmp_path, stxm):
    instrument, form = registered
    for (other, name), (file, write) in EXAMPLES.items():
        if other != instrument or name == form.name:
            continue
        path = tmp_path / name / file
        path.parent.mkdir()
        write(path, stxm)
        assert find_format(path, instrument).name == name


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_what_no_format_recognises_names_them_all(tmp_path, instrument):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.docx").write_bytes(b"PK\3\4\0 and so on")
    for name in ("folder", "a.docx"):
        with pytest.raises(ReadError) as caught:
            OPEN[instrument](tmp_path / name)
        for form in iterate_formats(instrument):
            assert all(ending in caught.value.cure for ending in form.extensions)


CHOICES = {
    "stxm": {
        "entry": "entry1",
        "region": 1,
        "counter": "APD",
        "energies": [500.0],
        "step_nm": 5.0,
        "axes": ("scan_y", "scan_x"),
        "polarisation": 1,
        "missing_frames": "nan",
    },
    "fourdstem": {
        "chunks": 1,
        "scan_shape": (2, 3),
        "dataset": "scan",
        "dims": ("scan_y", "scan_x", "qy", "qx"),
        "voltage_kv": 200.0,
        "step_nm": 5.0,
        "q_step": 0.01,
        "direct_beam_px": (4.0, 4.0),
    },
    "crystal": {},
}


def test_options_it_does_not_take_are_refused(registered, tmp_path, stxm):
    instrument, form = registered
    assert set(form.options) <= set(CHOICES[instrument])
    name, write = EXAMPLES[instrument, form.name]
    write(tmp_path / name, stxm)
    for option in set(CHOICES[instrument]) - set(form.options):
        value = CHOICES[instrument][option]
        with pytest.raises(ReadError, match=f"takes no {option}=") as caught:
            OPEN[instrument](tmp_path / name, **{option: value})
        assert form.name in str(caught.value)


def test_a_saved_map_has_its_own_shape(tmp_path):
    path = pk.io.save(patterns(), tmp_path / "a.nc")
    assert pk.io.open_4dstem(path, scan_shape=(2, 3)).sizes["scan_x"] == 3
    with pytest.raises(ReadError, match=r"scan_shape=\(3, 2\)"):
        pk.io.open_4dstem(path, scan_shape=(3, 2))


def test_no_file_library_is_imported_before_a_file_is_opened():
    code = "import phasekit as pk, phasekit.io.formats as f, sys; pk.io.open_stxm, pk.io.open_4dstem, f.list_formats; "
    code += "print([m for m in ('h5py', 'tifffile', 'rsciio', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_writer_is_a_public_function():
    rows = list_writers()
    named = [name for row in rows for name in row.functions.split(", ")]
    assert {name for name in dir(pk.io) if name.startswith("save")} == {n for n in named if n.startswith("save")}
    assert all(getattr(pk.io, name).__doc__ and row.keeps and row.endings for row in rows for name in named)
