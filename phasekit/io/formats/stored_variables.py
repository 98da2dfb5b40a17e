"""Variables of our own files as dask arrays whose blocks raise a ReadError when they cannot be read."""

import uuid
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks

from ...errors import ReadError

WORTH_A_TASK = 2**20  # [bytes] smaller stored blocks are read several at a time


@dataclass(frozen=True)
class _Stored:
    """A variable of a file as dask slices it: what goes wrong while a block is read is a ReadError too."""

    variable: xr.Variable
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape

    @property
    def ndim(self) -> int:
        return self.variable.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.variable.dtype

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.variable[key].values
        except Exception as error:
            raise damaged(self.path, error) from error


def guarded(data: xr.Dataset, path: Path) -> xr.Dataset:
    """Same dataset with its larger numeric variables as dask arrays; axes, scalars and text are read at once."""
    arrays = {}
    for name, variable in data.variables.items():
        if name in data.indexes or not variable.ndim or variable.dtype.kind not in "biufcmM":
            variable.load()
            continue
        arrays[name] = da.from_array(  # type: ignore[no-untyped-call]
            _Stored(variable, path),
            chunks=_blocks(variable),
            name=f"stored-{name}-{uuid.uuid4().hex}",
            fancy=False,
            meta=np.empty((0,) * variable.ndim, dtype=variable.dtype),
        )
    return data.assign({name: (data[name].dims, array, data[name].attrs) for name, array in arrays.items()})


def _blocks(variable: xr.Variable) -> Any:
    """Blocks as stored when these are worth a task, else several of them together."""
    stored = variable.encoding.get("preferred_chunks") or {}
    sizes = tuple(stored.get(dim, n) for dim, n in variable.sizes.items())
    if stored and prod(sizes) * variable.dtype.itemsize >= WORTH_A_TASK:
        return sizes
    limit = max(WORTH_A_TASK, 32 * 2**20)
    return normalize_chunks("auto", variable.shape, limit, variable.dtype, sizes)  # type: ignore[no-untyped-call]


def damaged(path: Path, error: Exception) -> ReadError:
    """The error for one of our own files that cannot be read."""
    return ReadError(
        path,
        found=f"a damaged or foreign file ({type(error).__name__}: {str(error)[:160]})",
        cure="write it again with pk.io.save, or copy it again",
    )
