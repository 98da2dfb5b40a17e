"""The application of ``phasekit app``: the explorers in a browser, for a file, a folder or an upload.

``server`` binds the address. ``access`` says who may ask, ``data_root`` which files may be read, ``uploads`` what may
be sent. ``sources`` turns a path into an explorer, and ``session`` is the page of one visitor.
"""
