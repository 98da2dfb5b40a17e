"""Whether an HDF5 file leads out of its folder, by links, by raw data or by virtual datasets in other files.

A file from somebody else could otherwise bring the content of any file of the reader into a result.
"""

import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

from ...errors import ReadError
from .file_errors import damaged_file
from .remote import RemotePath, open_binary

#: In the environment: folders, separated as in PATH, into which links may lead.
TRUSTED = "PHASEKIT_TRUSTED_FOLDERS"
_VIRTUAL = "HDF5_VDS_PREFIX"
_BUILT_IN = (*range(1, 7), 32000)  # filters that are part of HDF5 and h5py


class _Reference(NamedTuple):
    """Another file that an object of the file names."""

    what: str
    place: str  # name of the object in the file
    file: str
    prefix: str  # variable of the environment with folders in which HDF5 looks first
    beside: bool = True  # whether HDF5 looks beside the file; else from the current directory alone


def check_links(path: str | os.PathLike[str]) -> None:
    """Refuse a file that leads to a file outside its own folder, or whose filters anybody could have written.

    A link whose file is not there leads nowhere and is left to its reader.

    Raises
    ------
    ReadError
        The message names the object, the file it leads to, and the variable that lists trusted folders.
    """
    if isinstance(path, RemotePath):
        _check_remote(path, path.stat().st_mtime_ns)
        return
    name = os.path.abspath(path)
    found = os.stat(name)
    key = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    # Every block of a lazy scan opens its file: the links of an unchanged file are read once.
    _check_cached(name, key, os.environ.get(TRUSTED, ""), os.getcwd())


def check_virtual(path: Path, node: Any) -> None:
    """Refuse a virtual dataset if a file of it is missing: HDF5 would fill its place with zeros."""
    for source in node.virtual_sources() if node.is_virtual else ():
        name = Path(source.file_name)
        # % stands for the number of a block.
        if "%" not in source.file_name and _find_file(_Reference("", "", source.file_name, _VIRTUAL), path) is None:
            found = f"an array that lies in another file, which is missing: '{source.file_name}'"
            raise ReadError(path, found=found, cure=f"put '{name.name}' beside {path.name}")


@lru_cache(maxsize=256)
def _check_remote(path: RemotePath, version: int) -> None:
    """Refuse any other file: its name would be looked for on this machine."""
    for reference in _list_references(cast("Path", path)):
        if reference.file not in ("", "."):
            found = f"{reference.what} in another file: '{reference.place}' leads to '{reference.file}'"
            raise ReadError(path, found=found, cure="copy all its files into one folder of this machine")


@lru_cache(maxsize=256)
def _check_cached(name: str, key: tuple[int, ...], trusted: str, here: str) -> None:
    path = Path(name)
    # A folder of symbolic links to data elsewhere: both folders are the file's own.
    folders = [path.parent, path.resolve().parent, *(Path(part) for part in trusted.split(os.pathsep) if part)]
    _check_file(path, [folder.resolve() for folder in folders], {path.resolve()})


def _check_file(path: Path, folders: list[Path], seen: set[Path]) -> None:
    """Check a file and all files that it leads to."""
    for reference in _list_references(path):
        target = _find_file(reference, path)
        if target is None or target in seen:
            continue
        if not any(target.is_relative_to(folder) for folder in folders):
            found = f"{reference.what} outside its folder: '{reference.place}' leads to {target}"
            cure = f"copy {target.name} beside {path.name}, or list its folder in {TRUSTED} if you trust the file"
            raise ReadError(path, found=found, cure=cure)
        seen.add(target)
        if reference.what != "raw data":
            _check_file(target, folders, seen)


def _list_references(path: Path) -> list[_Reference]:
    """Other files that the objects of a file name."""
    import h5py

    try:
        file = h5py.File(open_binary(path), "r")
    except OSError:  # no HDF5, or damaged: who opens it says so
        return []
    with file:
        names: list[tuple[int, bytes]] = []
        try:
            # An error inside this call would be lost, so the objects are looked at afterwards.
            file.id.links.visit(lambda name, info: names.append((info.type, name)), info=True)
        except Exception as error:  # a damaged group would hide the links behind it
            raise damaged_file(path, error) from error
        return [reference for kind, name in names for reference in _list_of_link(path, file, kind, name)]


def _list_of_link(path: Path, file: Any, kind: int, name: bytes) -> Iterator[_Reference]:
    """Files that one link of a file leads to."""
    import h5py

    if kind == h5py.h5l.TYPE_EXTERNAL:
        target = file.id.links.get_val(name)[0].decode("utf-8", "surrogateescape")
        yield _Reference("a link", name.decode("utf-8", "replace"), target, "HDF5_EXT_PREFIX")
    elif kind == h5py.h5l.TYPE_HARD:
        yield from _list_of_object(path, file, name)


def _list_of_object(path: Path, file: Any, name: bytes) -> Iterator[_Reference]:
    """Files of a dataset whose values lie elsewhere."""
    import h5py

    try:
        node = h5py.h5o.open(file.id, name)
    except Exception:  # an object that cannot be opened cannot be read either
        return
    if not isinstance(node, h5py.h5d.DatasetID):
        return
    place, plist = name.decode("utf-8", "replace"), node.get_create_plist()
    _check_filters(path, place, plist)
    for number in range(plist.get_external_count()):
        # HDF5 counts raw data from the current directory, and links from the folder of the file.
        raw = os.fsdecode(plist.get_external(number)[0])
        yield _Reference("raw data", place, raw, "HDF5_EXTFILE_PREFIX", beside=False)
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        for number in range(plist.get_virtual_count()):
            yield _Reference("values", place, plist.get_virtual_filename(number), _VIRTUAL)


def _find_file(reference: _Reference, path: Path) -> Path | None:
    """The file that HDF5 opens for a name, resolved; ``None`` where it finds none."""
    name = reference.file
    if name in ("", "."):
        return path.resolve()
    first = [Path(part) for part in os.environ.get(reference.prefix, "").split(":") if part]
    origin = [Path(str(folder).replace("${ORIGIN}", str(path.parent))) for folder in first]
    own = [path.parent, path.resolve().parent] if reference.beside else []
    places = [folder / name for folder in (*origin, *own, Path.cwd())]
    # HDF5 looks for an absolute name, and then for its last part beside the file.
    if os.path.isabs(name):
        places = [Path(name), *(folder / Path(name).name for folder in (*origin, *own))]
    if "%" in name:
        # It stands for the number of a block, in a file's name or in that of a folder: what lies before it counts, and
        # what comes behind may not lead back.
        if ".." in Path(name.partition("%")[2]).parts:
            return Path(places[0].anchor)
        return Path(os.path.realpath(Path(str(places[0]).partition("%")[0] + "%").parent))
    return next((place.resolve() for place in places if place.exists()), None)


def _check_filters(path: Path, place: str, plist: Any) -> None:
    """Refuse a filter that HDF5 would load from a folder into which anybody may write."""
    for number in range(plist.get_nfilters()):
        code = plist.get_filter(number)[0]
        folder = None if code in _list_own_filters() else _find_open_folder()
        if folder is not None:
            found = f"data '{place}' with filter {code}, which would be loaded from {folder}, where anybody may write"
            raise ReadError(path, found=found, cure="take the folder out of HDF5_PLUGIN_PATH, or close it: chmod o-w")


@lru_cache(maxsize=1)
def _list_own_filters() -> frozenset[int]:
    """Filters that no search of folders is needed for."""
    try:
        own = import_module("hdf5plugin").FILTERS.values()
    except ImportError:
        own = ()
    return frozenset((*_BUILT_IN, *own))


def _find_open_folder() -> str | None:
    """The first folder of plugins that others may write to, or that depends on the current directory."""
    import h5py

    for number in range(h5py.h5pl.size()):
        folder = os.fsdecode(h5py.h5pl.get(number))
        if not os.path.isdir(folder):
            continue
        # On Windows every folder has this bit.
        is_open = os.name == "posix" and bool(os.stat(folder).st_mode & stat.S_IWOTH)
        if is_open or not os.path.isabs(folder):
            return folder
    return None
