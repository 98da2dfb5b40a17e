"""Mantis's own analysis, without its windows, in its own environment.

    python -m benchmarks.stxm.run_mantis IN.npz OUT.npz

IN: ``density`` (energy, y, x), ``use`` (y, x), ``energy`` [eV], ``spectra`` (reference, energy), ``n_clusters``. OUT:
``names``, ``phase`` (method, y, x; -1 outside ``use``), ``seconds``, ``version``. These functions of Mantis are called,
and nothing of them is replaced:

- ``analyze.calculate_pca`` and ``calculate_clusters``: k-means on the components that its elbow rule keeps. Once with
  the first component and once without, as its own batch settings have it (a correction for thickness).
- ``calc_svd_maps`` and ``fit_target_spectra``: amounts of the references and of a flat target. They are fitted by least
  squares on all energies, or on the components kept. Neither forbids negative amounts. So references that are much
  alike give large amounts of opposite sign.
- ``nnma.calcNNMA``: non-negative factors that start at the references, as many iterations as its window proposes.

Its k-means by angle, ``calculate_clusters_kmeansangle``, fails with today's NumPy: it takes random floats as indices.

Only material pixels are given to Mantis, as a stack of one row. The names are given here: clusters by Pearson's
correlation, pixels of the maps by the largest amount times the contrast of its spectrum.
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
    from mantis_xray.analysis.nnma import nnma

NNMA_ITERATIONS = 1000


def main(given, made):
    """Every method on one stack."""
    with np.load(given) as data:
        density, use, spectra = data["density"].astype(float), data["use"], data["spectra"].astype(float)
        energy, n_clusters = data["energy"], int(data["n_clusters"])
    names, maps, seconds = [], [], []
    for name, method in METHODS.items():
        np.random.seed(0)  # noqa: NPY002  its k-means and factors draw from the global state
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            label = method(stack_of(density[:, use].T, energy), spectra, n_clusters)
        seconds.append(time.perf_counter() - started)
        phase = np.full(use.shape, -1, dtype=np.int16)
        phase[use] = label
        names.append(name)
        maps.append(phase)
    np.savez(made, names=names, phase=np.stack(maps), seconds=seconds, version=version("mantis-xray"))


def stack_of(pixels, energy):
    """What its analysis asks of a stack: pixels (n, energy) as an image of n columns and one row."""
    n, n_ev = pixels.shape
    return SimpleNamespace(n_cols=n, n_rows=1, n_ev=n_ev, ev=energy, od=pixels, od3d=pixels.reshape(n, 1, n_ev))


def clustered(stack, spectra, n_clusters, *, remove_first):
    """Its clusters, named by the reference their mean spectrum resembles most."""
    work = analyze(stack)
    work.calculate_pca()
    if remove_first:
        work.numsigpca = max(work.numsigpca, 2)  # else nothing would be left
    work.calculate_clusters(n_clusters, remove1stpca=int(remove_first))
    return pearson(work.clusterspectra, spectra).argmax(axis=1)[work.cluster_indices[:, 0]]


def targets(stack, spectra, *, on_components):
    """Its maps of the references and a flat target."""
    work = analyze(stack)
    work.calculate_pca()
    work.target_spectra = np.vstack([spectra, np.ones((1, spectra.shape[1]))])
    work.n_target_spectra = len(work.target_spectra)
    if on_components:
        work.fit_target_spectra()
        maps = work.target_pcafit_maps
    else:
        work.calc_svd_maps()
        maps = work.target_svd_maps
    return (maps[:, 0, : len(spectra)] * spectra.std(axis=1)).argmax(axis=1)


def factors(stack, spectra):
    """Its non-negative factors; each keeps the name of the reference it began at."""
    work = nnma(stack)
    work.setParameters(kNNMA=len(spectra), maxIters=NNMA_ITERATIONS)
    work.setStandardsSpectra(spectra.T.copy())
    work.calcNNMA("Standards")
    return (work.tRecon[:, :, 0].T * work.muRecon.std(axis=0)).argmax(axis=1)


def pearson(first, second):
    """Correlation of every row of the first with every row of the second."""
    shapes = [rows - rows.mean(axis=1, keepdims=True) for rows in (first, second)]
    one, other = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in shapes)
    return one @ other.T


METHODS = {
    "Mantis PCA + k-means": lambda *data: clustered(*data, remove_first=False),
    "Mantis k-means, first component removed": lambda *data: clustered(*data, remove_first=True),
    "Mantis target maps (SVD)": lambda stack, spectra, _: targets(stack, spectra, on_components=False),
    "Mantis target maps (PCA)": lambda stack, spectra, _: targets(stack, spectra, on_components=True),
    "Mantis NNMA from the references": lambda stack, spectra, _: factors(stack, spectra),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
