"""A file or folder that appears under its name only when it is complete."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def rename_when_complete(target: Path) -> Iterator[Path]:
    """Temporary name beside ``target`` that becomes ``target`` if the block succeeds and vanishes if it does not."""
    # The same folder, because a rename across file systems copies; a unique name, because runs may write at once.
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _replace_target(temporary, target)
    finally:
        _remove_path(temporary)


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
