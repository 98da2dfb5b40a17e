"""Steps on a cluster of ``dask.distributed``: a worker that dies, bounded reads, the same answer to the last bit."""

import time

import dask
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.io.formats import safe_dask_arrays
from phasekit.synthetic.structures import sample_phases

distributed = pytest.importorskip("distributed", reason="distributed is not installed")
pickle = pytest.importorskip("distributed.protocol.pickle")


def measure_graph(data):
    return len(pickle.dumps(dict(data.__dask_graph__())))


def test_every_step_of_acom_can_be_sent_to_workers_and_holds_the_bank_once():
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=4)
    peaks = pk.acom.simulate_peaks(bank, list(range(24)))
    peaks = xr.concat([peaks] * 8, "scan_y", data_vars="minimal", coords="minimal", compat="override")
    sizes = {}
    for lines in (8, 1):
        cut = peaks.chunk(scan_y=lines)
        matched = pk.acom.match_orientations(cut, bank)
        refined = pk.acom.refine_orientations(cut, bank, matched, fit_centre=True)
        second = pk.acom.match_second_grain(cut, bank, refined)
        sizes[lines] = measure_graph(matched)
        assert measure_graph(refined) + measure_graph(second) > 0
    # Eight blocks instead of one, and yet no second bank.
    assert sizes[1] < sizes[8] + bank.nbytes / 2


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="1GB", dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_blocks_are_written_by_the_workers(client, tmp_path):
    def tell(block):
        return np.full_like(block, distributed.get_worker().name)

    lazy = dask.array.zeros((8, 3), int, chunks=(1, 3)).map_blocks(tell, dtype=int)
    data = xr.Dataset({"worker": (("scan_y", "scan_x"), lazy)})
    pk.io.save(data, tmp_path / "map.zarr")
    assert set(np.unique(pk.io.load(tmp_path / "map.zarr")["worker"])) == {0, 1}


def test_an_error_on_a_worker_leaves_the_old_store_and_nothing_else(client, tmp_path):
    old = xr.Dataset({"phase": (("scan_y", "scan_x"), np.arange(6).reshape(2, 3))})
    pk.io.save(old, tmp_path / "map.zarr")

    def fail(block, block_info=None):
        if block_info[0]["chunk-location"][0] == 0:
            raise ValueError("this block cannot be made")
        time.sleep(0.3)
        return block

    lazy = dask.array.zeros((8, 3), chunks=(1, 3)).map_blocks(fail, dtype=float)
    with pytest.raises(ValueError, match="cannot be"):
        pk.io.save(xr.Dataset({"phase": (("scan_y", "scan_x"), lazy)}), tmp_path / "map.zarr")
    time.sleep(0.5)  # a block that was still under way would bring the removed folder back
    assert [path.name for path in tmp_path.iterdir()] == ["map.zarr"]
    xr.testing.assert_identical(pk.io.load(tmp_path / "map.zarr"), old)


@pytest.mark.slow
def test_a_scan_is_mapped_on_workers_of_which_one_dies_as_in_one_process(tmp_path, monkeypatch):
    """From file to maps of ACOM and NMF; this process reads no pattern, and other blocks give the same bits."""
    from benchmarks.batch.larger_than_memory import (
        KillOnce,
        compare_results,
        make_lazy_scan,
        map_scan,
        start_cluster,
    )

    pk.io.save(make_lazy_scan((8, 16), (256, 256), 4), tmp_path / "scan.zarr")
    reads = []
    read = safe_dask_arrays._SafeVariable.__getitem__
    monkeypatch.setattr(
        safe_dask_arrays._SafeVariable, "__getitem__", lambda self, key: reads.append(self.shape) or read(self, key)
    )
    marker = tmp_path / "killed"
    with start_cluster("800MB", 2, KillOnce(str(marker), 12)):
        map_scan(tmp_path / "scan.zarr", tmp_path / "cluster", 2, lambda name: None)
    assert marker.exists()
    assert reads == []
    with dask.config.set(scheduler="synchronous"):
        map_scan(tmp_path / "scan.zarr", tmp_path / "alone", 3, lambda name: None)
    assert all(compare_results(tmp_path / "cluster", tmp_path / "alone").values())
