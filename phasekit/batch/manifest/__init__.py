"""Rows of a batch: what a manifest or a list of files says, checked before anything runs.

``entries`` finds what is written. ``tables`` and ``mappings`` read manifests, ``options`` reads the command line.
``checking`` compares each entry with its notebook, and ``inputs`` looks for its files. ``names`` keeps every folder
inside that of the batch. ``limits`` reads memory and time. ``rows`` puts it together. ``faults`` is the table of what
is wrong. ``running`` runs rows.
"""
