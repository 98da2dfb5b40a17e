"""Mantis's own analysis, without its windows, in its own environment.

    python run_mantis.py IN.npz OUT.npz

IN: ``density`` (energy, y, x), ``use`` (y, x), ``spectra`` (reference, energy), ``n_clusters``. OUT: ``names``,
``phase`` (method, y, x; -1 outside ``use``), ``seconds``, ``version``. Called are ``analyze.calculate_pca``,
``calculate_clusters`` (k-means on the components its scree rule keeps, with and without the first one, which its manual
advises to remove against thickness) and ``calc_svd_maps`` (target spectra and a flat one). Its k-means by angle fails
with today's NumPy (it indexes with floats). Only material pixels are given to it, as a stack of one row. Clusters are
named here by Pearson, pixels of the target maps by the largest amount times the target's contrast. Knows nothing of
phasekit.
"""

import contextlib
import io
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np

with contextlib.redirect_stdout(io.StringIO()):  # it lists its file readers
    from mantis_xray.analysis.analyze import analyze


def main(given, made):
    """Every method on one stack."""
    with np.load(given) as data:
        density, use, spectra = data["density"].astype(float), data["use"], data["spectra"].astype(float)
        n_clusters = int(data["n_clusters"])
    names, maps, seconds = [], [], []
    for name, method in METHODS.items():
        np.random.seed(0)  # noqa: NPY002  its k-means draws from the global state
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            label = method(density[:, use].T, spectra, n_clusters)
        seconds.append(time.perf_counter() - started)
        phase = np.full(use.shape, -1, dtype=np.int16)
        phase[use] = label
        names.append(name)
        maps.append(phase)
    np.savez(made, names=names, phase=np.stack(maps), seconds=seconds, version=version("mantis-xray"))


def stack_of(pixels):
    """What its analysis asks of a stack: pixels (n, energy) as an image of n columns and one row."""
    n, n_ev = pixels.shape
    return SimpleNamespace(n_cols=n, n_rows=1, n_ev=n_ev, od=pixels, od3d=pixels.reshape(n, 1, n_ev))


def clustered(pixels, spectra, n_clusters, *, remove_first):
    """Its clusters, named by the reference their mean spectrum resembles most."""
    work = analyze(stack_of(pixels))
    work.calculate_pca()
    work.numsigpca = max(work.numsigpca, 3)  # with fewer and the first removed nothing would be left
    work.calculate_clusters(n_clusters, remove1stpca=int(remove_first))
    index = np.asarray(work.cluster_indices).reshape(-1, order="F").astype(int)
    means = [pixels[index == i].mean(axis=0) if (index == i).any() else spectra[0] for i in range(index.max() + 1)]
    return pearson(np.array(means), spectra).argmax(axis=1)[index]


def targets(pixels, spectra, _):
    """Its target maps: singular value decomposition with the references and a flat target."""
    work = analyze(stack_of(pixels))
    work.calculate_pca()
    work.target_spectra = np.vstack([spectra, np.ones((1, spectra.shape[1]))])
    work.n_target_spectra = len(work.target_spectra)
    work.calc_svd_maps()
    amounts = work.target_svd_maps[:, 0, : len(spectra)]
    return (amounts * spectra.std(axis=1)).argmax(axis=1)


def pearson(first, second):
    """Correlation of every row of the first with every row of the second."""
    shapes = [rows - rows.mean(axis=1, keepdims=True) for rows in (first, second)]
    one, other = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in shapes)
    return one @ other.T


METHODS = {
    "Mantis PCA + k-means": lambda *data: clustered(*data, remove_first=False),
    "Mantis k-means, first component removed": lambda *data: clustered(*data, remove_first=True),
    "Mantis target maps (SVD)": targets,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
