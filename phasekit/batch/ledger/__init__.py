"""What was done in a folder of results: an append-only ledger, hashes of files, and the lock of the folder.

``events`` keeps the ledger. ``hashes`` computes hashes of contents. ``inputs`` lists the files that a row reads.
``truth`` compares a row with the ledger and the files. ``lock`` lets one batch at a time write into a folder.
"""
