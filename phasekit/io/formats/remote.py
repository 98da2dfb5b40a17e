"""Files that fsspec reads from another machine or a store of objects: ``s3://bucket/scan.zarr``.

Such a path is text with the methods of ``pathlib.Path`` that the readers use. It carries the options of its storage,
so that a block finds them on a worker, and shows them nowhere.
"""

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

from ...errors import ReadError, SchemaError

_READ_AHEAD = 4 * 2**20  # [bytes] of one request: headers of HDF5 lie scattered, blocks are larger
_SHORTEST_SECRET = 4  # letters: shorter values of options, as "us" or "1", are no secrets


class RemotePath(str):
    """Address of a file or folder with the options of its storage."""

    options: dict[str, Any]

    def __new__(cls, address: str, options: Mapping[str, Any] | None = None) -> "RemotePath":
        """The address as text; the options are an attribute."""
        self = super().__new__(cls, address.rstrip("/"))
        self.options = dict(options or {})
        return self

    def __str__(self) -> str:
        """The address itself: text that is made of it keeps the options."""
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Arguments that make it again in another process."""
        return str.__str__(self), self.options

    def __truediv__(self, name: str) -> "RemotePath":
        """What lies in the folder under a name."""
        return RemotePath(f"{str.__str__(self)}/{name}", self.options)

    @property
    def name(self) -> str:
        """Last part of the address."""
        return PurePosixPath(self).name

    @property
    def stem(self) -> str:
        """Last part without its ending."""
        return PurePosixPath(self).stem

    @property
    def suffix(self) -> str:
        """Ending, with the dot."""
        return PurePosixPath(self).suffix

    @property
    def parent(self) -> "RemotePath":
        """Folder."""
        return RemotePath(str.__str__(self).rpartition("/")[0], self.options)

    def with_name(self, name: str) -> "RemotePath":
        """Neighbour of another name."""
        return self.parent / name

    def find_storage(self) -> tuple[Any, str]:
        """File system of fsspec, and the path in it."""
        from fsspec.core import url_to_fs

        try:
            storage, place = url_to_fs(str.__str__(self), **self.options)
        except ImportError as error:
            raise _name_missing_package(self, error) from error
        except ValueError as error:  # a protocol that nobody has registered
            found = f"an address whose beginning is not known ({error})"
            cure = "give a path, or an address such as s3://bucket/scan.zarr"
            raise ReadError(self, found=found, cure=cure) from None
        return storage, str(place)

    def read_info(self) -> dict[str, Any] | None:
        """What the storage says of the file or folder; None where there is none."""
        from .file_errors import damaged_file

        storage, place = self.find_storage()
        try:
            return dict(storage.info(place))
        except FileNotFoundError:
            return None
        except Exception as error:  # of the network, of the credentials, of the storage
            raise damaged_file(self, error) from None

    def exists(self) -> bool:
        """Whether there is a file or folder."""
        return self.read_info() is not None

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return (self.read_info() or {}).get("type") == "directory"

    def is_file(self) -> bool:
        """Whether it is a file."""
        return (self.read_info() or {}).get("type") == "file"

    def stat(self) -> SimpleNamespace:
        """Size, and a number that changes when the content does."""
        from zlib import crc32

        info = self.read_info() or {}
        # Not every storage knows times; one of objects has a tag of the content.
        version = "".join(str(info.get(name)) for name in ("ETag", "LastModified", "mtime", "created"))
        return SimpleNamespace(st_size=int(info.get("size") or 0), st_mtime_ns=crc32(version.encode()))

    def open(self, mode: str = "rb") -> Any:
        """Open the file to read bytes; only what is asked for comes over the network."""
        storage, place = self.find_storage()
        return storage.open(place, mode, block_size=_READ_AHEAD, cache_type="readahead")

    def read_bytes(self) -> bytes:
        """Content of the file."""
        storage, place = self.find_storage()
        return bytes(storage.cat_file(place))

    def hide_options(self, text: str) -> str:
        """Replace every value of the options that occurs in a text."""
        for value in _list_values(self.options):
            text = text.replace(value, "***")
        return text


def is_remote(path: object) -> bool:
    """Whether text is an address (``s3://...``) and no path of this machine.

    Examples
    --------
    >>> is_remote("s3://bucket/scan.zarr"), is_remote("scan.zarr"), is_remote("file:///data/scan.zarr")
    (True, False, False)
    """
    return isinstance(path, RemotePath) or (isinstance(path, str) and "://" in path and not path.startswith("file://"))


def make_path(path: str | PathLike[str], storage_options: Mapping[str, Any] | None, step: str) -> Path:
    """Path of this machine, or an address with the options of its storage.

    Raises
    ------
    SchemaError
        Options are given for a path of this machine, or the address holds a password.
    """
    if isinstance(path, RemotePath):
        return cast("Path", path)
    text = fspath(path)
    if not is_remote(text):
        if storage_options:
            raise SchemaError(
                f"{step}: storage_options belong to an address such as s3://bucket/scan.zarr, and '{text}' is a path. "
                "Leave them out."
            )
        return Path(text.removeprefix("file://"))
    # Of a chain such as simplecache::s3://bucket each part is an address.
    if any(urlsplit(part).password for part in text.split("::")):
        protocol = text.partition("://")[0]
        raise SchemaError(
            f"{step}: the address {protocol}://... holds a password, which messages would show. Give it by "
            "storage_options."
        )
    remote = RemotePath(text, storage_options)
    # Lists of files that were read before may be old.
    remote.find_storage()[0].invalidate_cache()
    return cast("Path", remote)


def make_local_path(path: str | PathLike[str]) -> Path:
    """Path of this machine; an address is refused, of which pathlib would make a folder called ``s3:``."""
    if is_remote(path):
        cure = "write it to a path of this machine and copy it there, or copy it from there first"
        raise ReadError(str(path).partition("://")[0] + "://...", found="an address where a path is needed", cure=cure)
    return Path(fspath(path).removeprefix("file://"))


def check_store_name(path: str | PathLike[str]) -> None:
    """Refuse a zarr store of this machine with ``::`` in its path: zarr would open a chain of addresses instead.

    Raises
    ------
    ReadError
        The path holds two colons.
    """
    if not isinstance(path, RemotePath) and "::" in fspath(path):
        found = "'::' in the path, which zarr takes for a chain of addresses"
        raise ReadError(path, found=found, cure="rename the file or folder")


def open_binary(path: str | PathLike[str]) -> Any:
    """What a library that reads files is given: the path, or an open file where the path is an address."""
    return path.open() if isinstance(path, RemotePath) else path


def _list_values(options: Mapping[str, Any]) -> list[str]:
    values = []
    for value in options.values():
        if isinstance(value, Mapping):
            values += _list_values(value)
        elif isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
            values.append(value)
    return values


def _name_missing_package(path: RemotePath, error: ImportError) -> ReadError:
    protocol = str.__str__(path).partition("://")[0].rpartition("::")[2]
    packages = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp", "https": "aiohttp"}
    packages |= {"abfs": "adlfs", "az": "adlfs", "sftp": "paramiko", "ssh": "paramiko"}
    package = packages.get(protocol)
    if package is None:
        return ReadError(path, found=f"an address that needs another package ({error})", cure="install it with pip")
    found = f"an address that needs the package '{package}', which is not installed"
    return ReadError(path, found=found, cure=f"pip install {package}, and open it again")
