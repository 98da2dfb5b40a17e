"""No text leads outside the data root."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasekit.app.data_root import DataRoot, format_size
from phasekit.errors import ReadError


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A root with files and links, beside a secret."""
    top = tmp_path_factory.mktemp("place")
    root = top / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "scan.h5").write_bytes(b"0123456789")
    (root / "deep" / "map.nc").write_bytes(b"x")
    (top / "secret").mkdir()
    (top / "secret" / "key.h5").write_bytes(b"secret")
    (top / "root2").mkdir()
    (top / "root2" / "near.h5").write_bytes(b"near")
    (root / "out").symlink_to(top / "secret")
    (root / "out.h5").symlink_to(top / "secret" / "key.h5")
    (root / "in.h5").symlink_to(root / "scan.h5")
    (root / "loop").symlink_to(root / "loop")
    (root / "store.zarr" / "c").mkdir(parents=True)
    (root / "store.zarr" / "c" / "0").symlink_to(top / "secret" / "key.h5")
    (root / "stack.hdr").write_text("header", encoding="utf-8")
    (root / "stack_a.xim").symlink_to(top / "secret" / "key.h5")
    (root / "list").mkdir()
    (root / "list" / "seen.h5").write_bytes(b"1")
    (root / "list" / "hidden.h5").symlink_to(top / "secret" / "key.h5")
    os.mkfifo(root / "pipe.h5")
    return top


PARTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "deep",
        "er",
        "scan.h5",
        "out",
        "out.h5",
        "in.h5",
        "loop",
        "secret",
        "key.h5",
        "root",
        "root2",
        "~",
        "C:",
        "\\",
        "..\\..",
        "%2e%2e",
        "\u2025",
        "...",
        "near.h5",
        "store.zarr",
        " ",
        "\0",
        "/",
        "//",
        "\ud800",
    ]
)


@given(st.one_of(st.lists(PARTS, max_size=7).map("/".join), st.text(max_size=30)), st.booleans())
def test_no_text_leads_outside_the_root(place, text, is_absolute):
    root = DataRoot(place / "root")
    try:
        found = root.find(str(place / "root") + "/" + text if is_absolute else text)
    except ReadError:
        return
    real = Path(os.path.realpath(found))
    assert real == found
    assert real == root.folder or root.folder in real.parents


@pytest.mark.parametrize(
    "text",
    [
        "../secret/key.h5",
        "deep/../../secret/key.h5",
        "deep/../scan.h5",
        "..\\secret\\key.h5",
        "/etc/passwd",
        "C:\\secret\\key.h5",
        "c:key.h5",
        "scan.h5\0.nc",
        "out/key.h5",
        "out.h5",
        "store.zarr",
        "stack.hdr",
    ],
)
def test_what_leads_outside_is_refused_with_the_option_that_allows_it(place, text):
    with pytest.raises(ReadError, match=r"the data root.*--root"):
        DataRoot(place / "root").find(text)


def test_absolute_paths_count_by_where_they_lead(place):
    root = DataRoot(place / "root")
    assert root.find(str(root.folder / "scan.h5")).name == "scan.h5"
    for outside in (place / "secret" / "key.h5", place / "root2" / "near.h5", place):
        with pytest.raises(ReadError, match="outside the data root"):
            root.find(str(outside))


def test_links_that_stay_inside_are_followed(place):
    assert DataRoot(place / "root").find("in.h5").name == "scan.h5"


def test_links_among_what_a_header_or_a_store_may_read_are_refused(place):
    """The names that a header states, and folders behind links in a store, are not known here."""
    root = place / "root" / "companions"
    (root / "plain").mkdir(parents=True)
    (root / "plain" / "data").symlink_to(place / "secret")
    (root / "s.zarr").mkdir()
    (root / "s.zarr" / "inner").symlink_to(root / "plain")
    (root / "empad").mkdir()
    (root / "empad" / "a.xml").write_text("<root/>", encoding="utf-8")
    (root / "empad" / "alone.h5").write_bytes(b"1")
    (root / "empad" / "b.raw").symlink_to(place / "secret" / "key.h5")
    found = DataRoot(place / "root")
    for name in ("companions/s.zarr", "companions/empad/a.xml"):
        with pytest.raises(ReadError, match="a link that leads outside the data root"):
            found.find(name)
    assert found.find("companions/empad/alone.h5").name == "alone.h5"


@pytest.mark.parametrize(
    ("text", "found"),
    [("none.h5", "no such file"), ("loop", "no such file"), ("pipe.h5", "neither"), ("a" * 5000, "no such file")],
)
def test_what_is_no_file_is_refused(place, text, found):
    with pytest.raises(ReadError, match=found):
        DataRoot(place / "root").find(text)


def test_the_list_names_nothing_that_lies_outside(place):
    root = DataRoot(place / "root")
    entries, left_out = root.list_entries(root.find("list"))
    assert [entry.name for entry in entries] == ["seen.h5"]
    assert left_out == 0
    names = [entry.name for entry in root.list_entries(root.folder)[0]]
    assert not {"out", "out.h5", "pipe.h5"} & set(names)
    assert names.index("list") < names.index("scan.h5")  # folders first


def test_a_missing_root_is_refused(tmp_path):
    with pytest.raises(ReadError, match="--root"):
        DataRoot(tmp_path / "none")


def test_sizes_are_rounded_to_three_digits():
    assert [format_size(n) for n in (0, 1500, 2.5e9, 3e12)] == ["0 B", "1.5 kB", "2.5 GB", "3 TB"]
