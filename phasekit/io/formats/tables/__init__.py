"""Text tables of spectra, one module per stage: references, incident spectra and energies beside a stack.

``decoding`` makes lines of bytes. ``splitting`` tries separators and decimal marks, and ``layout`` parts header, rows
and footer. ``scans`` keeps several scans of one file apart. ``naming`` names the columns. ``words`` knows what names
mean, and ``energy_axis`` and ``signals`` choose columns by it. ``spectra`` puts together what a file holds.
``sidecar`` reads energies alone.
"""
