"""One module per file format, in one folder per instrument; parts that several readers share lie here.

``registry`` finds the format of a file. To add a format, write its module and add its name to the list in the
``__init__`` of its folder. The module holds:

- ``NAME``: what the format is called; ``EXTENSIONS``: endings of its files; ``KEEPS``: what a file gives beside counts.
- ``OPTIONS``: arguments of the opening function that the format takes.
- ``recognise(head, path)``: whether a file is of this format, from its first bytes, its name, or a look inside. The
  path may be a folder, whose ``head`` is empty. The text heaps of HDF5 files have been checked before.
- ``read(path, options)``: what the file holds. Any exception of a file library becomes a ReadError.
- ``CONTENT`` (only if the first bytes tell the format): what these files are called in messages, e.g. "HDF5".
- ``FOLDER`` (only if a folder can be of this format): what such a folder is called in messages.
- ``BESIDE`` (optional): endings of the files that must lie beside the one that is opened.
- ``REMOTE`` (optional): True where ``path`` may be an address (:mod:`.remote`), which can be read but is no file here.
- ``DIALECTS`` (optional): variants by beamline or program that the module reads.
"""

from .registry import FormatRow, list_formats

__all__ = ["FormatRow", "list_formats"]
