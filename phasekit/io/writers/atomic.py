"""A file or folder that appears under its name only when it is complete."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from ..formats.remote import RemotePath

_ROOT_ENTRY = "/zarr.json"


@contextmanager
def rename_when_complete(target: Path) -> Iterator[Path]:
    """Temporary name beside ``target`` that becomes ``target`` if the block succeeds and vanishes if it does not."""
    if isinstance(target, RemotePath):
        with _copy_when_complete(target) as remote:
            yield remote
        return
    # The same folder, because a rename across file systems copies; a unique name, because runs may write at once.
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _replace_target(temporary, target)
    finally:
        _remove_path(temporary)


@contextmanager
def _copy_when_complete(target: RemotePath) -> Iterator[Path]:
    """The same in a store of objects, which knows no renaming: the entry of the root is copied last."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    storage, source = temporary.find_storage()
    _, place = target.find_storage()
    try:
        yield cast("Path", temporary)
        storage.invalidate_cache()
        names = [name.removeprefix(source) for name in storage.find(source)]
        if target.exists():
            storage.rm(place, recursive=True)
        # A store without the entry of its root is none, so that half a copy is no result.
        for name in sorted(names, key=_ROOT_ENTRY.__eq__):
            storage.cp_file(source + name, place + name)
    finally:
        storage.invalidate_cache()
        with suppress(FileNotFoundError):
            storage.rm(source, recursive=True)


def _replace_target(temporary: Path, target: Path) -> None:
    if not temporary.is_dir():
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # a power cut must not leave a renamed file without its content
        os.replace(temporary, target)
        return
    # a folder cannot be renamed onto a full one: the old one steps aside and comes back if the new one fails to land
    aside = temporary.with_suffix(".old")
    if target.exists():
        os.replace(target, aside)
    try:
        os.replace(temporary, target)
    except OSError:
        if aside.exists():
            os.replace(aside, target)
        raise
    _remove_path(aside)


def _remove_path(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
