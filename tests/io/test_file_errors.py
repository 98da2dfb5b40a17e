"""Exceptions of file libraries by their cause: each gets the cure that mends it."""

import struct
import sys
import zlib

import h5py
import numpy as np
import pytest
import tifffile

from phasekit.errors import ReadError
from phasekit.io.formats.file_errors import FORMATS_EXTRA, damaged_file, missing_package
from phasekit.io.fourdstem import open_4dstem

COPY = "copy the file again"


def wrapped(outer, inner):
    """An exception raised while another one was handled."""
    outer.__cause__ = inner
    return outer


# exception, what is found, cure; texts are those of h5py, zarr, numcodecs, tifffile, rosettasciio, NumPy and Python
CAUSES = [
    (ModuleNotFoundError("No module named 'mrcz'", name="mrcz"), "package 'mrcz'", "phasekit[formats]"),
    (ModuleNotFoundError("No module named 'hdf5plugin'", name="hdf5plugin"), "'hdf5plugin'", "phasekit[formats]"),
    (ModuleNotFoundError("No module named 'a.b'", name="a.b"), "package 'a'", "pip install a, and"),
    (ModuleNotFoundError("The 'sparse' library was not found."), "package 'sparse'", "phasekit[formats]"),
    (wrapped(OSError("cannot open"), ImportError("No module named 'lz4'", name="lz4")), "'lz4'", "pip install lz4"),
    (ImportError("Neither `blosc` nor `blosc2` is installed"), "a package which is not", "phasekit[formats]"),
    (ImportError("cannot import name 'x' from 'zarr'", name="zarr"), "another version", "--upgrade"),
    (OSError("Can't synchronously read data (can't open directory (/usr/lib/plugin))"), "HDF5 filter", "hdf5plugin"),
    (OSError("Can't read data (required filter 'bitshuffle' is not registered)"), "HDF5 filter", "hdf5plugin"),
    (ValueError("codec not available: 'blosc2'"), "a codec", "imagecodecs"),
    (KeyError("UnknownCodecError: numcodecs.zfpy"), "a codec", "imagecodecs"),
    (ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"), "a codec", "imagecodecs"),
    (NotImplementedError("RAW MIB data not supported."), "not supported", "another variant"),
    (ValueError("Lazy loading of RGBA images is not supported."), "not supported", "another variant"),
    (ValueError("Unrecognised mode '3'."), "not supported", "another variant"),
    (ValueError("No Zarr data type found that matches {'name': '|O'}"), "not supported", "another variant"),
    (OSError("Unsupported Empad file: the scan parameters cannot be imported."), "not supported", "another variant"),
    (PermissionError(13, "Permission denied"), "may not be read", "permission"),
    (BlockingIOError(11, "Unable to synchronously open file (unable to lock file)"), "open for writing", "close it"),
    (OSError("[Errno 11] Unable to lock file, errno = 11"), "open for writing", "close it"),
    (FileNotFoundError(2, "No such file or directory: 'scan.raw'"), "other part", "beside it"),
    (MemoryError(), "memory", "more memory"),
    (np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("u1")), "memory", "more memory"),
    (EOFError("EOF: reading array data"), "a cut file", COPY),
    (OSError("Unable to synchronously open file (truncated file: eof = 96, sblock->base_addr = 0)"), "cut", COPY),
    (ValueError("mmap length is greater than file size"), "a cut file", COPY),
    (ValueError("cannot reshape array of size 3 into shape (2,2)"), "a cut file", COPY),
    (ValueError("buffer is smaller than requested size"), "a cut file", COPY),
    (struct.error("unpack requires a buffer of 8 bytes"), "a cut file", COPY),
    (zlib.error("Error -5 while decompressing data: incomplete or truncated stream"), "a cut file", COPY),
    (zlib.error("Error -3 while decompressing data: invalid stored block lengths"), "a damaged block", COPY),
    (OSError("Can't synchronously read data (inflate() failed)"), "a damaged block", COPY),
    (OSError("Can't read data (wrong checksum)"), "a damaged block", COPY),
    (KeyError("data"), "damaged or foreign", "its ending names its format"),
    (ValueError("could not convert string to float: 'a'"), "damaged or foreign", "its ending names its format"),
    (IndexError("list index out of range"), "damaged or foreign", "its ending names its format"),
    (RuntimeError("File does not contain MIB header."), "damaged or foreign", "its ending names its format"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "damaged or foreign", "its ending"),
]


@pytest.mark.parametrize(("error", "found", "cure"), CAUSES, ids=lambda value: repr(value)[:50])
def test_every_exception_gets_the_cure_of_its_cause(error, found, cure):
    made = damaged_file("scan.xyz", error)
    assert isinstance(made, ReadError)
    assert found in made.found
    assert cure in made.cure
    # Copying helps only where bytes are missing or wrong.
    assert (made.cure == COPY) == (cure == COPY)


def test_a_cure_of_the_caller_does_not_hide_a_missing_package():
    own = "write it again with pk.io.save"
    assert damaged_file("a.nc", KeyError("data"), cure=own).cure == own
    assert damaged_file("a.nc", EOFError("end of file"), cure=own).cure == own
    for error in (ModuleNotFoundError("No module named 'hdf5plugin'", name="hdf5plugin"), PermissionError(13, "no")):
        assert damaged_file("a.nc", error, cure=own).cure != own


@pytest.mark.parametrize("package", FORMATS_EXTRA)
def test_packages_of_the_extra_are_named_with_it(package):
    error = missing_package("scan.xyz", package)
    assert "pip install phasekit[formats]" in error.cure
    assert f"pip install {package}" in error.cure


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=np.arange(2 * 3 * 32 * 32, dtype="u2").reshape(2, 3, 32, 32))


WRITERS = {
    "a.h5": write_hdf5,
    "a.npy": lambda path: np.save(path, np.zeros((2, 3, 32, 32), "u2")),
    "a.tif": lambda path: tifffile.imwrite(path, np.ones((6, 32, 32), "u2"), photometric="minisblack"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_was_cut_is_to_be_copied_again(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadError, match=COPY):
        open_4dstem(path)


@pytest.mark.parametrize("name", ["a.h5", "a.npy", "a.tif", "a.mib", "a.tvips", "a.blo", "a.dm4", "a.app5"])
def test_a_file_of_another_format_is_not_to_be_copied_only(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"this is a letter and no scan\n" * 40)
    with pytest.raises(ReadError) as caught:
        open_4dstem(path)
    assert caught.value.cure != COPY


def test_plugin_that_lacks_a_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    (tmp_path / "a.dm4").write_bytes(bytes(5000))
    with pytest.raises(ReadError, match=r"package 'rsciio', which is not installed"):
        open_4dstem(tmp_path / "a.dm4")
