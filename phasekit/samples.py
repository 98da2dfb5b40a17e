"""Samples: small simulated datasets with their truth that come with phasekit, and public measured data to download."""

import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import xarray as xr

from .errors import ReadError, SchemaError
from .workflows import Sample, list_workflows

#: Samples in ``data-samples/``, made by ``phasekit.synthetic``.
BUNDLED: tuple[Sample, ...] = tuple(sample for workflow in list_workflows() for sample in workflow.samples)

#: Public measured data, downloaded when asked for and checked against the hashes in ``phasekit/data/<name>.txt``.
PUBLIC: tuple[Sample, ...] = (
    Sample(
        "als_fe2p",
        ("71214078.hdr",),
        "measured Fe L-edge STXM stack of plume particles, ALS 11.0.2.2, 123 energies (Breier et al. 2012), 20 MB",
        "MIT",
        "github.com/stetef/nano-XANES-microscopy-of-Fe",
    ),
)

__all__ = [
    "BUNDLED",
    "PUBLIC",
    "fetch",
    "make",
    "names",
    "path",
    "root",
    "write_references",
]


def __dir__() -> list[str]:
    return list(__all__)


def root() -> Path:
    """Find the folder of ``notebooks/`` and ``data-samples/``: the source tree, or shared files of the installation.

    Raises
    ------
    ReadError
        phasekit was installed without them.

    Examples
    --------
    >>> (root() / "notebooks").is_dir()
    True
    """
    tree = Path(__file__).resolve().parents[1]
    if (tree / "notebooks").is_dir():
        return tree
    try:
        entries = files("phasekit") or []
    except PackageNotFoundError:
        entries = []
    # A wheel installs the notebooks below the prefix of the environment; its list of files says where.
    for entry in entries:
        if entry.parts[-4:-1] == ("share", "phasekit", "notebooks"):
            return Path(str(entry.locate())).resolve().parents[1]
    raise ReadError(tree, found="no folder 'notebooks'", cure="install phasekit again, or run it from its source tree")


def names() -> list[str]:
    """List the names of the samples that come with phasekit, as :func:`path` takes them.

    Examples
    --------
    >>> names()[:2]
    ['stxm_nvpf', 'stxm_nvpf_references']
    """
    return [Path(file).stem for sample in BUNDLED for file in sample.files]


def path(name: str) -> Path:
    """File of a sample that comes with phasekit.

    Parameters
    ----------
    name
        File name, with or without suffix: ``stxm_nvpf``, ``nmf_grains``, ``Ni.cif``, ...

    Returns
    -------
    pathlib.Path
        The file in ``data-samples/``.

    Raises
    ------
    SchemaError
        There is no such sample.
    ReadError
        Its file is missing.

    See Also
    --------
    names : The names it knows.
    fetch : Measured data.

    Examples
    --------
    >>> path("nmf_grains").name
    'nmf_grains.nc'
    """
    files_by_name = {key: file for sample in BUNDLED for file in sample.files for key in (file, Path(file).stem)}
    if name not in files_by_name:
        raise SchemaError(
            f"samples.path: there is no sample '{name}', needs one of {', '.join(names())}. "
            "The command `phasekit samples` lists them."
        )
    sample_file = root() / "data-samples" / files_by_name[name]
    if not sample_file.is_file():
        raise ReadError(sample_file, found="no file", cure="make it with `phasekit samples make`")
    return sample_file


def fetch(name: str, *, progress: bool = False) -> Path:
    """Download public measured data into the cache, or find them there.

    Every file is checked by its SHA-256.

    Parameters
    ----------
    name
        ``als_fe2p``.
    progress
        Whether to show a bar for each file.

    Returns
    -------
    pathlib.Path
        The file to open: for ``als_fe2p`` the ``.hdr`` of the stack. Its folder holds the frames, the incident spectrum
        (``i0.xsp``) and the references (``oxidized.t``, ``reduced.t``). The cache is pooch's, or ``$PHASEKIT_CACHE``.

    Raises
    ------
    SchemaError
        There is no such data.
    ReadError
        The network or a hash failed. Complete files stay in the cache; the next call continues from there.

    See Also
    --------
    path : The samples that come with phasekit.

    Examples
    --------
    >>> fetch("als_fe3p")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: samples.fetch: there are no public data 'als_fe3p', needs one of als_fe2p. ...
    """
    sample = {sample.name: sample for sample in PUBLIC}.get(name)
    if sample is None:
        available = ", ".join(sample.name for sample in PUBLIC)
        raise SchemaError(
            f"samples.fetch: there are no public data '{name}', needs one of {available}. "
            "The command `phasekit samples` lists them."
        )
    import pooch

    cache = Path(os.environ.get("PHASEKIT_CACHE") or pooch.os_cache("phasekit")) / name
    downloader = pooch.create(path=cache, base_url="", registry=None)
    downloader.load_registry(str(Path(__file__).parent / "data" / f"{name}.txt"))
    # pooch reports every file at level INFO; library code never prints.
    pooch.get_logger().setLevel("WARNING")
    for file in downloader.registry:
        try:
            downloader.fetch(file, progressbar=progress)
        except Exception as error:  # requests, urllib3, hash mismatch: to the caller all mean "not complete"
            cure = "check the network and call again; files that are complete are kept"
            raise ReadError(cache / file, found=f"a failed download ({error})", cure=cure) from error
    return cache / sample.files[0]


def make(name: str, folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """Make a bundled sample again from its recipe: the same numbers, bit for bit.

    Parameters
    ----------
    name
        ``stxm_nvpf``, ``nmf_grains`` or ``acom_two_phases``.
    folder
        Folder to write to; ``None`` is ``data-samples/``.

    Returns
    -------
    list of pathlib.Path
        Files written.

    Raises
    ------
    SchemaError
        There is no recipe of that name.

    See Also
    --------
    path : The file of a sample.

    Examples
    --------
    >>> make("gold")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: samples.make: there is no recipe 'gold', needs one of stxm_nvpf, ...
    """
    recipe = {sample.name: sample.source for sample in BUNDLED}.get(name)
    if recipe is None:
        available = ", ".join(sample.name for sample in BUNDLED)
        raise SchemaError(
            f"samples.make: there is no recipe '{name}', needs one of {available}. "
            "The command `phasekit samples` lists them."
        )
    # The recipe is named as text, "module:function", so that listing the samples imports no simulation.
    module, _, function = recipe.partition(":")
    target = Path(folder) if folder is not None else root() / "data-samples"
    target.mkdir(parents=True, exist_ok=True)
    content = getattr(importlib.import_module(module), function)()
    datasets: dict[str, xr.Dataset | str] = {name: content} if isinstance(content, xr.Dataset) else content
    return [_write_sample(data, target / key) for key, data in datasets.items()]


def _write_sample(data: xr.Dataset | str, target: Path) -> Path:
    """Write one file of a sample: a CIF, a table of references, or netCDF."""
    if isinstance(data, str):  # a crystal structure
        target.write_text(data, encoding="utf-8")
        return target
    if target.suffix == ".csv":
        return write_references(data, target)
    from .io import save

    return save(data, target if target.suffix else target.with_suffix(".nc"))


def write_references(references: xr.Dataset, target: Path) -> Path:
    """Write REFERENCES as the table that ``pk.io.open_references`` reads, six significant digits."""
    # Energies first, one column per reference, whatever the order of the dimensions.
    spectra = references["reference_spectrum"].transpose("energy", "reference")
    labels = [str(name) for name in references["reference"].values]
    lines = [f"# units: {spectra.attrs.get('units', '1')}"]
    if "composition" in references:
        lines.insert(0, "# composition: " + ", ".join(f"{x:g}" for x in references["composition"].values))
    lines.append(",".join(["energy", *labels]))
    for energy, row in zip(references["energy"].values, spectra.values, strict=True):
        lines.append(",".join([f"{energy:.10g}", *(f"{value:.6g}" for value in row)]))
    partial = target.with_name(f".{target.name}.part")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, target)
    return target


if __name__ == "__main__":
    import runpy

    sys.argv[1:1] = ["samples"]  # `python -m phasekit.samples make` is `phasekit samples make`
    runpy.run_module("phasekit", run_name="__main__")
