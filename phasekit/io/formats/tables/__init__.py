"""Text tables of spectra, one module per stage: references, incident spectra and energies beside a stack.

``decoding`` makes lines of bytes. ``splitting`` tries separators and decimal marks, and ``layout`` parts header, rows
and footer. ``scans`` keeps several scans of one file apart. ``naming`` names the columns. ``words`` knows what names
mean, and ``energy_axis`` and ``signals`` choose columns by it. ``spectra`` puts together what a file holds.
``sidecar`` reads energies alone.

The dialects, each with the source of what is known of it:

- Delimited text, RFC 4180, and its variants with decimal commas. Comments begin with ``# % * ! ; //``.
- XDI 1.0: ``Column.1: energy eV``; the XDI specification, https://github.com/XraySpectroscopy/XAS-Data-Interchange.
- Athena, one or several spectra: names in the last comment line; the Athena manual,
  https://bruceravel.github.io/demeter/documents/Athena/output.
- SPEC: ``#S``, ``#N``, ``#L``, ``@A``; the SPEC manual, https://certif.com/spec_help/scans.html.
- aXis2000 and Mantis: a block of ``*`` lines, "X-ray Absorption Data", above two columns; the Mantis manual,
  http://spectromicroscopy.com.
- SDF ``.xsp``: two columns without a header; the STXM manual of ALS 5.3.2.
- Header lines of text above the columns, as instruments of ALS and Bruker write them.
"""
