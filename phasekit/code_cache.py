"""The folder in which numba keeps compiled code, and a lock for modules that compile when they are imported.

numba writes beside the source, else below the user's cache folder. Where it can do neither, it refuses to load a
function. Examples are a container with a read-only image and a cluster's node without home folders. Compiling again
takes minutes, so the code then goes to a temporary folder. It belongs to this user alone, because code in it is run.
"""

import importlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def ensure_code_cache(package: Path) -> Path | None:
    """Set a temporary folder as numba's cache where it would find no other place; the folder, or ``None``.

    Parameters
    ----------
    package
        Folder of the package whose functions are compiled.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ensure_code_cache(Path(folder)) is None
    True
    """
    # In the order in which numba tries them; the user's own choice comes first.
    try:
        if os.environ.get("NUMBA_CACHE_DIR") or is_writable(package / "__pycache__") or is_writable(user_cache()):
            return None
        folder = private_folder()
    except OSError:  # nothing can be written at all: numba itself says so when it is asked to compile
        return None
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # it has read the environment already
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def import_alone(name: str) -> None:
    """Import a module that compiles on its first import, while no other process does.

    orix compiles generalised ufuncs when it is imported. Two processes that did so at once have left a cache that
    crashed every later import.
    """
    if name in sys.modules:
        return
    with _lock_cache():
        importlib.import_module(name)


@contextmanager
def _lock_cache() -> Iterator[None]:
    """One process of this user at a time; without a lock where the system has none."""
    try:
        import fcntl

        file = (private_folder() / "import.lock").open("w", encoding="utf-8")
    except (ImportError, OSError):
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
        yield


def user_cache() -> Path:
    """The user's cache folder, as numba takes it on this system."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "numba"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home) / "numba"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "numba"


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in the folder, or the folder itself be made."""
    existing = folder
    while not os.path.exists(existing) and existing != existing.parent:
        existing = existing.parent
    if existing != folder:
        return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)
    # A file is really made: permissions alone do not show a read-only mount or a full quota.
    probe = folder / f".phasekit-{os.getpid()}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:  # another thread is asking
        return True
    except OSError:
        return False
    with suppress(OSError):
        probe.unlink()
    return True


def private_folder() -> Path:
    """A temporary folder that only this user can write: the same in every process, unless somebody else made it."""
    import tempfile

    # One name per user, so that later processes find the compiled code again.
    user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"phasekit-compiled-{user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        # Not followed through a link, owned by this user, closed to all others: else others could place code there.
        state = folder.lstat()
        private = not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o077)
        if stat.S_ISDIR(state.st_mode) and private:
            return folder
    return temporary_folder("phasekit-compiled-")


def temporary_folder(prefix: str) -> Path:
    """A new temporary folder whose name begins with ``prefix``, removed when the process ends."""
    import atexit
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
