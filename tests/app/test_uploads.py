"""Uploads are checked before they are received, and held on the disk of one visitor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasekit.app.uploads import Receiver, RefusedError, UploadFolder, clean_name, list_endings, make_parent


@pytest.fixture
def folder(tmp_path):
    return UploadFolder(tmp_path, 100, list_endings())


def send(folder, name, blocks, *, size=None, is_first=True):
    receiver = Receiver(folder, name, size, is_first=is_first)
    for block in blocks:
        receiver.write(block)
    return receiver.finish()


def test_a_file_is_written_and_replaces_the_last_one(folder):
    assert send(folder, "a.h5", [b"12", b"34"], size=4) == "a.h5"
    assert folder.root.find("a.h5").read_bytes() == b"1234"
    send(folder, "b.hdr", [b"1"])
    send(folder, "b_a.xim", [b"2"], is_first=False)
    assert sorted(path.name for path in folder.folder.iterdir()) == ["b.hdr", "b_a.xim"]


def test_what_is_too_large_is_refused_with_the_limit(folder):
    for size in (101, 10**15):
        with pytest.raises(RefusedError, match=r"limit of 100 B.*--max-upload") as caught:
            Receiver(folder, "a.h5", size, is_first=True)
        assert caught.value.status == 413
    assert not list(folder.folder.iterdir())


def test_the_limit_holds_where_the_sender_states_a_wrong_size(folder):
    for size in (None, 10):
        with pytest.raises(RefusedError, match="limit of 100 B"):
            send(folder, "a.h5", [b"1" * 60, b"1" * 60], size=size)
    assert not list(folder.folder.iterdir())


def test_the_limit_is_of_all_files_together(folder):
    send(folder, "a.hdr", [b"1" * 60])
    with pytest.raises(RefusedError, match="limit"):
        send(folder, "a_a.xim", [b"1" * 60], is_first=False)


@pytest.mark.parametrize("name", ["a.pkl", "a.py", "a", "a.npy.exe", ".h5x", "a.zip"])
def test_other_types_are_refused(folder, name):
    with pytest.raises(RefusedError, match=r"needs one of .*\.h5") as caught:
        Receiver(folder, name, 1, is_first=True)
    assert caught.value.status == 415


@given(st.text())
def test_no_name_leaves_the_folder(name):
    cleaned = clean_name(name)
    assert cleaned not in ("", ".", "..")
    assert not set(cleaned) & set("/\\\0")
    assert len(cleaned) <= 120
    assert clean_name("../" + name + "/../../a.h5") == "a.h5"


def test_visitors_have_folders_of_their_own_and_nothing_stays():
    with make_parent() as parent:
        one, two = (UploadFolder(parent, 100, list_endings()) for _ in range(2))
        assert one.key != two.key
        send(one, "a.h5", [b"1"])
        send(two, "a.h5", [b"2"])
        assert one.root.find("a.h5").read_bytes() == b"1"
        one.remove()
        assert not one.folder.exists()
        assert two.folder.exists()
    assert not parent.exists()


def test_every_format_of_stacks_and_scans_can_be_sent():
    endings = list_endings()
    assert {".h5", ".nc", ".hdr", ".xim", ".ncb", ".dat", ".blo", ".mib", ".tif"} <= set(endings)
    assert not {".pkl", ".zarr", ".cif", ""} & set(endings)


def test_the_limit_is_of_files_that_are_received_at_the_same_time(folder):
    one = Receiver(folder, "a.hdr", None, is_first=True)
    other = Receiver(folder, "a_a.xim", None, is_first=False)
    one.write(b"1" * 60)
    with pytest.raises(RefusedError, match="limit of 100 B"):
        other.write(b"1" * 60)
    assert one.finish() == "a.hdr"
    assert [path.name for path in folder.folder.iterdir()] == ["a.hdr"]
