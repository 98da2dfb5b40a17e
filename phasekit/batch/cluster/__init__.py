"""Rows of a batch on many machines, which see one file system.

``client`` sends rows to a dask cluster, and ``remote`` runs them there. ``plan`` and ``script`` write the rows and the
scripts of a SLURM array. ``task`` runs one row of it, and tells a journal in the folder of the row (``journal``).
``collect`` brings the journals into the ledger.
"""
