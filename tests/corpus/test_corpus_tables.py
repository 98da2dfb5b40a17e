"""Tables of spectra and of incident intensities, as the programs of the field write them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phasekit as pk

from .beamline_tables import DOORS, INCIDENT, MICROSCOPES, SCANS, XAS
from .expected import Opens, Refused, refused_with_cure
from .spreadsheet_tables import EXCEL, PROGRAMS

REFERENCES = [*EXCEL, *PROGRAMS, *XAS, *SCANS, *MICROSCOPES, *DOORS]


def put(folder, case):
    path = folder / case.file
    path.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode())
    return path


def check_references(found, right: Opens):
    assert_allclose(found.energy.values, right.energy, atol=1e-6)
    assert found.reference.values.tolist() == list(right.spectra)
    assert_allclose(found.reference_spectrum.values, list(right.spectra.values()), atol=1e-6)


def check_incident(found, right: Opens):
    assert_allclose(found.energy.values, right.energy, atol=1e-6)
    assert_allclose(found.values, right.spectra["i0"], rtol=1e-6)
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("case", REFERENCES, ids=lambda case: case.name)
def test_references(tmp_path, case):
    path = put(tmp_path, case)

    def open_input(**given):
        return pk.io.open_references(path, **given)

    if isinstance(case.right, Refused):
        refused_with_cure(open_input, case.right, check_references, case.given)
    else:
        check_references(open_input(**case.given), case.right)


@pytest.mark.parametrize("case", INCIDENT, ids=lambda case: case.name)
def test_incident_intensities(tmp_path, case):
    path = put(tmp_path, case)

    def open_input(**given):
        return pk.io.open_i0(path, **given)

    if isinstance(case.right, Refused):
        refused_with_cure(open_input, case.right, check_incident, case.given)
    else:
        check_incident(open_input(**case.given), case.right)
