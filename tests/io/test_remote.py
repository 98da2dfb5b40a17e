"""Paths through fsspec: a server of S3 on this machine (moto), and fsspec's own memory where no server is needed."""

import io
import pickle
import socket

import fsspec
import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr

import phasekit as pk
from phasekit.errors import ReadError, SchemaError
from phasekit.io.formats.remote import RemotePath, make_path

SECRET = "not-a-real-secret"
COUNTS = np.random.default_rng(3).integers(0, 100, (6, 5, 16, 16)).astype(np.uint16)


@pytest.fixture(scope="module")
def s3():
    """Options of a store of objects on localhost, with one bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    options = {"key": "test", "secret": SECRET, "endpoint_url": f"http://127.0.0.1:{port}"}
    fsspec.filesystem("s3", **options).mkdir("bucket")
    yield options
    server.stop()


@pytest.fixture
def memory():
    """A store in memory, empty."""
    storage = fsspec.filesystem("memory")
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


def hdf5_bytes(**datasets):
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return held.getvalue()


def tiff_bytes(**how):
    held = io.BytesIO()
    tifffile.imwrite(held, COUNTS.reshape(-1, 16, 16), **how)
    return held.getvalue()


FILES = {
    "scan.h5": lambda: hdf5_bytes(data=COUNTS),
    "scan.tif": tiff_bytes,
    "packed.tif": lambda: tiff_bytes(compression="zlib"),
}


@pytest.mark.parametrize("name", FILES)
def test_scans_are_read_from_s3_block_by_block(s3, name):
    fsspec.filesystem("s3", **s3).pipe_file(f"bucket/{name}", FILES[name]())
    patterns = pk.io.open_4dstem(f"s3://bucket/{name}", scan_shape=(6, 5), chunks=2, storage_options=s3)
    np.testing.assert_array_equal(patterns["intensity"].to_numpy(), COUNTS)
    # A block that was sent to another process finds the file again.
    sent = pickle.loads(pickle.dumps(patterns))
    np.testing.assert_array_equal(sent["intensity"][4:].to_numpy(), COUNTS[4:])
    assert SECRET not in repr(patterns) + str(patterns.attrs) + repr(patterns["intensity"].data)


def test_a_zarr_store_goes_to_s3_and_comes_back(s3):
    scan = pk.synthetic.orientation_scan(shape=(4, 5), detector=(32, 32))[["intensity", "truth_phase"]].chunk(scan_y=2)
    for _ in range(2):  # the second time it replaces the first
        pk.io.save(scan, "s3://bucket/map.zarr", storage_options=s3)
    xr.testing.assert_identical(pk.io.load("s3://bucket/map.zarr", storage_options=s3), scan.compute())
    opened = pk.io.open_4dstem("s3://bucket/map.zarr", storage_options=s3)
    xr.testing.assert_equal(opened.compute(), scan.compute())
    storage = fsspec.filesystem("s3", **s3)
    storage.invalidate_cache()
    assert [name for name in storage.find("bucket") if ".tmp" in name] == []


def test_stacks_results_and_phases_are_read_from_s3(s3, tmp_path):
    storage = fsspec.filesystem("s3", **s3)
    stack = pk.synthetic.stxm_stack(shape=(16, 18), n_particles=1, seed=0)
    here = pk.io.save(stack, tmp_path / "stack.nc")
    storage.put_file(str(here), "bucket/stack.nc")
    address = "s3://bucket/stack.nc"
    xr.testing.assert_equal(pk.io.open_stxm(address, storage_options=s3).compute(), pk.io.open_stxm(here).compute())
    xr.testing.assert_identical(pk.io.load(address, lazy=True, storage_options=s3).compute(), pk.io.load(here))
    cif = "data_Ni\n_cell_length_a 3.52\n_cell_length_b 3.52\n_cell_length_c 3.52\n_cell_angle_alpha 90\n"
    cif += "_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_name_H-M_alt 'F m -3 m'\nloop_\n_atom_site_label\n"
    cif += "_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nNi1 0 0 0\n"
    storage.pipe_file("bucket/nickel.cif", cif.encode())
    phase = pk.io.open_phase("s3://bucket/nickel.cif", storage_options=s3)
    assert (phase.name, len(phase.structure)) == ("nickel", 4)
    pk.io.save_results("s3://bucket/run.zarr", storage_options=s3, stack=stack)
    assert list(pk.io.load_results("s3://bucket/run.zarr", storage_options=s3).children) == ["stack"]


def test_wrong_addresses_say_what_is_wrong_and_no_secret(s3):
    wrong = {
        "s3://bucket/nothing.h5": ("no such file", s3),
        "s3://no-bucket/scan.h5": ("found", s3),
        "s3://bucket/scan.h5": ("does not answer", s3 | {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": QUICK}),
    }
    for address, (message, options) in wrong.items():
        with pytest.raises(ReadError, match=message) as caught:
            pk.io.open_4dstem(address, storage_options=options)
        assert SECRET not in str(caught.value) + repr(caught.value.__dict__)
        assert type(caught.value.path) is str


QUICK = {"retries": {"max_attempts": 0}, "connect_timeout": 1}


def test_a_damaged_store_message_hides_the_options():
    path = make_path("memory://bucket/a.h5", {"token": SECRET}, "open_4dstem")
    assert path.hide_options(f"refused {SECRET}") == "refused ***"
    assert pickle.loads(pickle.dumps(path)).options == {"token": SECRET}


def test_what_needs_a_file_of_this_machine_is_refused_with_the_cure(memory):
    memory.pipe_file("/bucket/scan.npy", b"\x93NUMPY" + bytes(100))
    with pytest.raises(ReadError, match="copy it to this machine first"):
        pk.io.open_4dstem("memory://bucket/scan.npy")
    with pytest.raises(SchemaError, match=r"End it in \.zarr"):
        pk.io.save(xr.Dataset(), "memory://bucket/map.nc")
    with pytest.raises(SchemaError, match="storage_options belong to an address"):
        pk.io.open_4dstem("scan.h5", storage_options={"anon": True})
    with pytest.raises(SchemaError, match="holds a password") as caught:
        pk.io.open_4dstem(f"s3://me:{SECRET}@bucket/scan.h5")
    assert SECRET not in str(caught.value)
    with pytest.raises(ReadError, match="beginning is not known"):
        pk.io.open_4dstem("s9://bucket/scan.h5")


def test_functions_for_files_of_this_machine_refuse_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReadError, match="an address where a path is needed"):
        pk.io.save_ang(xr.Dataset(), "s3://bucket/map.ang")
    with pytest.raises(ReadError, match="an address where a path is needed"):
        pk.io.open_references("s3://bucket/references.csv")
    assert list(tmp_path.iterdir()) == []  # no folder called "s3:"


def test_a_missing_package_is_named(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(ReadError, match="pip install s3fs"):
        pk.io.open_4dstem("s3://bucket/scan.h5")


def test_an_address_that_links_to_files_of_this_machine_is_refused(memory, tmp_path):
    (tmp_path / "other.h5").write_bytes(hdf5_bytes(data=COUNTS))
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file["data"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
    memory.pipe_file("/bucket/master.h5", held.getvalue())
    with pytest.raises(ReadError, match="in another file"):
        pk.io.open_4dstem("memory://bucket/master.h5")


def test_a_rewritten_file_is_read_anew(memory):
    memory.pipe_file("/bucket/scan.h5", hdf5_bytes(data=COUNTS))
    first = pk.io.open_4dstem("memory://bucket/scan.h5")
    memory.pipe_file("/bucket/scan.h5", hdf5_bytes(data=COUNTS + 1))
    second = pk.io.open_4dstem("memory://bucket/scan.h5")
    assert first["intensity"].data.name != second["intensity"].data.name


def test_a_copy_that_stops_on_the_way_is_no_result(memory, monkeypatch):
    data = xr.Dataset({"phase": (("scan_y", "scan_x"), np.arange(6).reshape(2, 3))})
    copied = []

    def stop(self, source, target):
        if len(copied) == 1:
            raise OSError("the network is gone")
        copied.append(target)

    monkeypatch.setattr(type(memory), "cp_file", stop)
    with pytest.raises(OSError, match="network is gone"):
        pk.io.save(data, "memory://bucket/map.zarr")
    assert len(copied) == 1
    with pytest.raises(ReadError):
        pk.io.load("memory://bucket/map.zarr")
    assert memory.find("/bucket") == []


def test_a_path_keeps_its_options_as_text():
    path = RemotePath("s3://bucket/folder/scan.tar.zarr/", {"anon": True})
    assert (path.name, path.stem, path.suffix) == ("scan.tar.zarr", "scan.tar", ".zarr")
    assert (str(path).options, (path / "zarr.json").options) == ({"anon": True}, {"anon": True})
    assert make_path("file:///data/scan.h5", None, "load").as_posix() == "/data/scan.h5"
