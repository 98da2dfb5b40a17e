"""Processes that run rows: one worker for each row at a time, which forks a process for every row.

``server`` is the worker's program. ``forked`` makes kernels without starting Python again. ``isolation`` ties processes
to each other. ``pool`` is the side of the batch: it starts workers, watches limits, and ends what is left.
"""
