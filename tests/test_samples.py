"""The samples are what their recipes make, and public data are what their hashes say."""

import hashlib
import os
from pathlib import Path

import pooch
import pytest
import xarray as xr

import phasekit as pk
from phasekit import samples
from phasekit.errors import ReadError, SchemaError

from .tree import tracked

ROOT = Path(__file__).resolve().parents[1]
REAL = os.environ.get("PHASEKIT_REAL_DATA")


@pytest.mark.parametrize("name", [sample.name for sample in samples.BUNDLED])
def test_the_recipe_makes_the_bundled_sample_again(name, tmp_path):
    for made in samples.make(name, tmp_path):
        bundled = samples.path(made.name)
        if made.suffix == ".nc":
            with xr.open_dataset(made, engine="h5netcdf") as new, xr.open_dataset(bundled, engine="h5netcdf") as old:
                xr.testing.assert_equal(new, old)
                assert {key: v.dtype for key, v in new.items()} == {key: v.dtype for key, v in old.items()}
        else:
            assert made.read_bytes() == bundled.read_bytes()


@pytest.mark.parametrize("sample", samples.BUNDLED, ids=lambda sample: sample.name)
def test_every_file_of_a_sample_is_there_and_small(sample):
    for file in sample.files:
        assert samples.path(file) == samples.path(Path(file).stem) == ROOT / "data-samples" / file
        assert samples.path(file).stat().st_size < 5e6


def test_nothing_lies_in_the_folder_that_is_not_a_sample():
    known = {file for sample in samples.BUNDLED for file in sample.files} | {"README.md"}
    assert {path.name for path in tracked("data-samples")} == known


def test_the_readme_tells_of_every_file():
    text = (ROOT / "data-samples/README.md").read_text(encoding="utf-8")
    assert not [file for sample in samples.BUNDLED for file in sample.files if f"`{file}`" not in text]


def test_references_survive_the_trip_through_csv(tmp_path):
    from phasekit.samples import write_references

    refs = pk.synthetic.vanadium_references()
    back = pk.io.open_references(write_references(refs, tmp_path / "refs.csv"))
    xr.testing.assert_allclose(back["reference_spectrum"], refs["reference_spectrum"], rtol=5.1e-6)
    assert back["reference"].values.tolist() == refs["reference"].values.tolist()
    assert back["composition"].values.tolist() == refs["composition"].values.tolist()
    assert back["reference_spectrum"].attrs["units"] == refs["reference_spectrum"].attrs["units"]


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(SchemaError, match="nmf_grains"):
        samples.path("gold")
    with pytest.raises(SchemaError, match="als_fe2p"):
        samples.fetch("gold")
    with pytest.raises(SchemaError, match="stxm_nvpf"):
        samples.make("gold")


def test_a_missing_sample_says_how_to_make_it(monkeypatch, tmp_path):
    (tmp_path / "data-samples").mkdir()
    monkeypatch.setattr(samples, "root", lambda: tmp_path)
    with pytest.raises(ReadError, match="phasekit samples make"):
        samples.path("nmf_grains")


def registry(name: str = "als_fe2p") -> dict[str, tuple[str, str]]:
    lines = (Path(samples.__file__).parent / "data" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {file: (digest, address) for file, digest, address in rows}


def test_the_registry_names_one_commit_and_every_frame():
    found = registry()
    assert len([file for file in found if file.endswith(".xim")]) == 123
    assert {"71214078.hdr", "i0.xsp", "oxidized.t", "reduced.t", "LICENSE.txt"} <= set(found)
    commits = {address.split("/")[5] for _, address in found.values()}
    assert len(commits) == 1
    assert len(commits.pop()) == 40


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="PHASEKIT_REAL_DATA is not set")
def test_the_hashes_are_those_of_the_measured_files():
    folder = Path(REAL) / "stxm/als_fe2p_71214078"
    for file, (digest, _) in registry().items():
        assert digest == "sha256:" + hashlib.sha256((folder / file).read_bytes()).hexdigest(), file


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="PHASEKIT_REAL_DATA is not set")
def test_fetch_gives_the_header_of_a_complete_stack(monkeypatch, tmp_path):
    monkeypatch.setenv("PHASEKIT_CACHE", str(tmp_path))
    source = Path(REAL) / "stxm/als_fe2p_71214078"
    asked = []

    def retrieve(address, target, _):
        asked.append(address)
        Path(target).write_bytes((source / Path(address).name).read_bytes())

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: retrieve)
    found = samples.fetch("als_fe2p")
    assert len(asked) == len(registry())
    assert pk.io.open_stxm(found)["intensity"].shape == (123, 125, 125)
    samples.fetch("als_fe2p")
    assert len(asked) == len(registry()), "what is complete is not downloaded again"


def test_a_failed_download_is_told_and_leaves_no_wrong_file(monkeypatch, tmp_path):
    monkeypatch.setenv("PHASEKIT_CACHE", str(tmp_path))

    def wrong(address, target, _):
        Path(target).write_bytes(b"<html>not found</html>")

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: wrong)
    with pytest.raises(ReadError, match="call again"):
        samples.fetch("als_fe2p")
    assert not [path for path in (tmp_path / "als_fe2p").rglob("*") if path.is_file()]
