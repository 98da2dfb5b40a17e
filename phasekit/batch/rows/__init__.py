"""A batch: rows that are checked, run by workers, and told in the ledger, on the terminal and on the page.

``row`` has the data classes. ``job`` runs one row where it is not done. ``schedule`` runs all. ``live`` shows the state
on a terminal.
"""
