"""Compiled code finds a place also where package and home folder cannot be written, and never somebody else's."""

import os
import sys
from types import SimpleNamespace

import pytest

from phasekit import code_cache


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A system on which only the temporary folder can be written."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(code_cache, "is_writable", lambda folder: False)
    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(config=SimpleNamespace(CACHE_DIR="")))
    yield tmp_path
    os.environ.pop("NUMBA_CACHE_DIR", None)


def test_a_place_is_found_and_kept(nowhere):
    folder = code_cache.ensure_code_cache(nowhere / "package")
    assert folder.parent == nowhere
    assert os.environ["NUMBA_CACHE_DIR"] == sys.modules["numba"].config.CACHE_DIR == str(folder)
    assert not folder.stat().st_mode & 0o077
    del os.environ["NUMBA_CACHE_DIR"]
    assert code_cache.ensure_code_cache(nowhere / "package") == folder


def test_a_folder_that_others_can_write_is_not_trusted(nowhere):
    folder = code_cache.private_folder()
    folder.chmod(0o777)
    other = code_cache.private_folder()
    assert other != folder
    assert not other.stat().st_mode & 0o077


def test_a_file_or_a_link_in_its_place_is_not_used(nowhere):
    folder = code_cache.private_folder()
    folder.rmdir()
    folder.symlink_to(nowhere)
    assert code_cache.private_folder() != folder
    folder.unlink()
    folder.write_text("", encoding="utf-8")
    assert code_cache.private_folder() != folder


def test_a_choice_of_the_user_stays(nowhere, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    assert code_cache.ensure_code_cache(nowhere) is None
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


def test_what_can_be_written(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert code_cache.is_writable(tmp_path / "new" / "deeper")
    assert not code_cache.is_writable(tmp_path / "file" / "below")
