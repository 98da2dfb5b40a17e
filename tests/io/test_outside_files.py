"""Files that lead out of their folder are refused, and nothing in a data file is unpickled."""

import json
import os
import pickle
import warnings

import h5py
import numpy as np
import pytest
import tifffile

import phasekit as pk
from phasekit.errors import ReadError
from phasekit.io.formats.hdf5_file import open_hdf5
from phasekit.io.formats.hdf5_links import TRUSTED, check_links

PATTERNS = np.arange(2 * 3 * 8 * 8, dtype=np.uint16).reshape(2, 3, 8, 8)


@pytest.fixture
def places(tmp_path):
    """The folder of the file, and another one with a file that must not be read."""
    inside, outside = tmp_path / "mine", tmp_path / "of others"
    for folder in (inside, outside):
        folder.mkdir()
        with h5py.File(folder / "data_000001.h5", "w") as file:
            file["data"] = PATTERNS
        (folder / "raw.bin").write_bytes(PATTERNS.tobytes())
    return inside, outside


def link(file, source):
    file["entry/data"] = h5py.ExternalLink(str(source / "data_000001.h5"), "data")


def virtual(file, source):
    layout = h5py.VirtualLayout(PATTERNS.shape, PATTERNS.dtype)
    layout[:] = h5py.VirtualSource(str(source / "data_000001.h5"), "data", PATTERNS.shape)
    file.create_virtual_dataset("entry/data", layout)


def raw(file, source):
    place = [(str(source / "raw.bin"), 0, PATTERNS.nbytes)]
    file.create_dataset("entry/data", PATTERNS.shape, PATTERNS.dtype, external=place)


def write(path, kind, source):
    with h5py.File(path, "w") as file:
        kind(file, source)
    return path


OPENERS = {
    "open_4dstem": pk.io.open_4dstem,
    "open_stxm": pk.io.open_stxm,
    "open_references": pk.io.open_references,
    "open_i0": pk.io.open_i0,
    "load": pk.io.load,
    "load_results": pk.io.load_results,
    "open_hdf5": open_hdf5,
}


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("kind", [link, virtual, raw])
def test_a_file_that_leads_out_of_its_folder_is_refused_by_every_opener(places, kind, opener):
    inside, outside = places
    path = write(inside / "scan.h5", kind, outside)
    with pytest.raises(ReadError, match=rf"outside its folder: 'entry/data' leads to .*of others.*{TRUSTED}"):
        OPENERS[opener](path)


@pytest.mark.parametrize("kind", [link, virtual, raw])
def test_a_master_beside_its_data_is_read(places, kind):
    inside, _ = places
    found = pk.io.open_4dstem(write(inside / "master.h5", kind, inside))
    assert np.array_equal(found["intensity"].values.ravel(), PATTERNS.ravel())


@pytest.mark.parametrize("kind", [link, virtual, raw])
def test_a_trusted_folder_is_read(places, kind, monkeypatch):
    inside, outside = places
    path = write(inside / "master.h5", kind, outside)
    monkeypatch.setenv(TRUSTED, os.pathsep.join(["/somewhere", str(outside)]))
    assert np.array_equal(pk.io.open_4dstem(path)["intensity"].values.ravel(), PATTERNS.ravel())
    monkeypatch.setenv(TRUSTED, str(inside))
    with pytest.raises(ReadError, match="outside its folder"):
        pk.io.open_4dstem(path)


@pytest.mark.parametrize("way", ["relative", "symbolic link", "over a file beside", "printf"])
def test_a_detour_is_seen(places, way):
    inside, outside = places
    path = inside / "scan.h5"
    with h5py.File(path, "w") as file:
        if way == "relative":
            file["a/b"] = h5py.ExternalLink("../of others/data_000001.h5", "data")
        elif way == "symbolic link":
            (inside / "near.h5").symlink_to(outside / "data_000001.h5")
            file["a"] = h5py.ExternalLink("near.h5", "data")
        elif way == "over a file beside":
            write(inside / "near.h5", link, outside)
            file["a"] = h5py.ExternalLink("near.h5", "entry/data")
        else:
            _write_blocks(file, outside / "data_%b.h5")
    with pytest.raises(ReadError, match="outside its folder"):
        pk.io.open_4dstem(path)


def _write_blocks(file, name):
    """A virtual dataset whose blocks lie in numbered files."""
    endless = h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple(PATTERNS.shape, (endless, *PATTERNS.shape[1:]))
    space.select_hyperslab((0, 0, 0, 0), (endless, 1, 1, 1), PATTERNS.shape, PATTERNS.shape)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(space, str(name).encode(), b"data", h5py.h5s.create_simple(PATTERNS.shape))
    h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT16, space, plist)


def test_a_relative_name_is_looked_for_where_hdf5_looks(places, monkeypatch):
    inside, outside = places
    path = write(inside / "scan.h5", raw, outside.relative_to(outside.parent))
    check_links(path)  # it leads nowhere from here
    monkeypatch.chdir(outside.parent)
    with pytest.raises(ReadError, match="raw data outside its folder"):
        check_links(path)


def test_a_link_to_nothing_hinders_no_other_array(places):
    inside, outside = places
    with h5py.File(inside / "scan.h5", "w") as file:
        file["entry/data"] = PATTERNS
        file["entry/gone"] = h5py.ExternalLink(str(outside / "never.h5"), "data")
    assert pk.io.open_4dstem(inside / "scan.h5")["intensity"].shape == PATTERNS.shape


def test_a_scan_seen_through_a_symbolic_link_keeps_its_own_folder(places, tmp_path):
    inside, _ = places
    write(inside / "master.h5", link, inside)
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/master.h5").symlink_to(inside / "master.h5")
    assert pk.io.open_4dstem(tmp_path / "desk/master.h5")["intensity"].shape == PATTERNS.shape


def test_a_block_that_is_read_later_is_checked_again(places):
    inside, outside = places
    path = inside / "scan.h5"
    with h5py.File(path, "w") as file:
        file["entry/data"] = PATTERNS
    lazy = pk.io.open_4dstem(path)
    path.unlink()
    write(path, link, outside)
    with pytest.raises(ReadError, match="outside its folder"):
        lazy["intensity"].compute()


@pytest.mark.skipif(os.name != "posix", reason="rights of folders")
def test_a_filter_from_an_open_folder_is_refused(places, tmp_path):
    inside, _ = places
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2,))
    plist.set_filter(31999, h5py.h5z.FLAG_OPTIONAL)  # nobody has registered it
    with h5py.File(inside / "scan.h5", "w") as file:
        space, kind = h5py.h5s.create_simple((4,)), h5py.h5t.NATIVE_INT16
        h5py.h5d.create(file.id, b"data", kind, space, plist)
    h5py.h5pl.prepend(os.fsencode(plugins))
    try:
        check_links(inside / "scan.h5")
        plugins.chmod(0o777)
        os.utime(inside / "scan.h5")  # what was checked before is not checked again
        with pytest.raises(ReadError, match=r"filter 31999, which would be loaded from .*plugins, where anybody"):
            pk.io.open_4dstem(inside / "scan.h5")
    finally:
        h5py.h5pl.remove(0)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("kind", ["npy", "npz", "zarr filter", "zarr compressor", "hdf5 attribute"])
def test_nothing_is_unpickled(tmp_path, kind):
    sprung, path = tmp_path / "sprung", tmp_path / "scan.npy"
    objects = np.array([[Trap(sprung)] * 4] * 4, dtype=object)
    if kind == "npy":
        np.save(path, objects, allow_pickle=True)
    elif kind == "npz":
        path = tmp_path / "scan.npz"
        np.savez(path, data=objects)
    elif kind.startswith("zarr"):
        path = tmp_path / "scan.zarr"
        path.mkdir()
        _write_zarr(path, kind.split()[1], pickle.dumps(Trap(sprung)))
    else:
        path = tmp_path / "scan.hspy"
        with h5py.File(path, "w") as file:
            file["Experiments/scan/data"] = PATTERNS
            file["Experiments/scan/metadata"] = 1
            file["Experiments/scan/metadata"].attrs["_pickled"] = np.void(pickle.dumps(Trap(sprung)))
    for opener in (pk.io.open_4dstem, pk.io.open_stxm, pk.io.open_references, pk.io.load):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _try_to_read(opener, path)
    assert not sprung.exists()


def _write_zarr(folder, place, data):
    """A store whose blocks are pickles, by its own words."""
    words = {"zarr_format": 2, "shape": [2, 2, 8, 8], "chunks": [2, 2, 8, 8], "dtype": "|O", "order": "C"}
    words |= {"fill_value": 0, "compressor": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}
    if place == "compressor":
        words |= {"compressor": {"id": "pickle"}, "filters": [{"id": "vlen-utf8"}]}
    (folder / ".zgroup").write_text('{"zarr_format": 2}', encoding="utf-8")
    (folder / "data").mkdir()
    (folder / "data/.zarray").write_text(json.dumps(words), encoding="utf-8")
    (folder / "data/.zattrs").write_text('{"_ARRAY_DIMENSIONS": ["a", "b", "c", "d"]}', encoding="utf-8")
    (folder / "data/0.0.0.0").write_bytes(data)


def _try_to_read(opener, path):
    try:
        found = opener(path)
        found.compute()
    except Exception:  # most are refused; what matters is what they did
        return


OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="2">'
    '<TiffData FirstT="0" IFD="0" PlaneCount="1"><UUID FileName="mine.tif">urn:uuid:1</UUID></TiffData>'
    '<TiffData FirstT="1" IFD="0" PlaneCount="1"><UUID FileName="{}">urn:uuid:2</UUID></TiffData>'
    "</Pixels></Image></OME>"
)


@pytest.mark.parametrize("name", ["../of others/secret.tif", "&#46;&#46;/of others/secret.tif", "beside.tif"])
def test_a_tiff_brings_no_pixels_of_another_file(places, name):
    inside, outside = places
    tifffile.imwrite(outside / "secret.tif", np.full((8, 8), 777, np.uint16))
    tifffile.imwrite(inside / "beside.tif", np.full((8, 8), 777, np.uint16))
    tifffile.imwrite(inside / "mine.tif", np.ones((8, 8), np.uint16), description=OME.format(name), metadata=None)
    with pytest.raises(ReadError, match="several files"):
        pk.io.open_4dstem(inside / "mine.tif", scan_shape=(1, 2))
    with pytest.raises(ReadError, match="several files"):
        pk.io.open_stxm(inside / "mine.tif", energies=[500.0, 510.0], step_nm=40)


@pytest.mark.parametrize("way", ["0%b/../../of others/data_000001.h5", "../of %b/data_000001.h5", "x%b/../../y.h5"])
def test_numbered_names_do_not_lead_out(places, way):
    inside, _ = places
    (inside / "00").mkdir()
    path = inside / "scan.h5"
    with h5py.File(path, "w") as file:
        _write_blocks(file, inside / way)
    with pytest.raises(ReadError, match="outside its folder"):
        pk.io.open_4dstem(path)


def test_a_store_with_two_colons_is_no_chain_of_addresses(places):
    inside, _ = places
    scan = pk.io.open_4dstem(_write_plain(inside / "scan.h5"))
    with pytest.raises(ReadError, match="chain of addresses"):
        pk.io.save(scan, inside / "xx::a.zarr")
    pk.io.save(scan, inside / "a.zarr")
    (inside / "a.zarr").rename(inside / "xx::a.zarr")
    for opener in (pk.io.open_4dstem, pk.io.load):
        with pytest.raises(ReadError, match="chain of addresses"):
            opener(inside / "xx::a.zarr")


def _write_plain(path):
    with h5py.File(path, "w") as file:
        file["data"] = PATTERNS
    return path
