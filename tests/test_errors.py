"""Exceptions and status codes keep the promises other code is built on."""

import pickle

import pytest

from phasekit.errors import (
    AcomStatus,
    ConvergenceError,
    OffsetStatus,
    PhasekitError,
    ReadError,
    SchemaError,
    StxmStatus,
    status_attributes,
)


@pytest.mark.parametrize(
    ("error", "builtin"), [(SchemaError, ValueError), (ReadError, OSError), (ConvergenceError, RuntimeError)]
)
def test_every_error_is_ours_and_python_s(error, builtin):
    assert issubclass(error, PhasekitError)
    assert issubclass(error, builtin)


def test_read_error_names_file_finding_and_cure():
    error = ReadError("a.h5", found="0 bytes", cure="copy it again")
    assert str(error) == "a.h5: found 0 bytes. To fix it: copy it again."
    assert (error.path, error.found, error.cure) == ("a.h5", "0 bytes", "copy it again")


def test_errors_come_back_whole_from_another_process():
    read = pickle.loads(pickle.dumps(ReadError("a.h5", found="0 bytes", cure="copy it again")))
    assert (str(read), read.cure) == ("a.h5: found 0 bytes. To fix it: copy it again.", "copy it again")
    stopped = pickle.loads(pickle.dumps(ConvergenceError("stopped", {"k": 3})))
    assert stopped.partial == {"k": 3}


@pytest.mark.parametrize("codes", [StxmStatus, AcomStatus, OffsetStatus])
def test_zero_is_ok_and_flags_follow_cf(codes):
    attributes = status_attributes(codes)
    assert codes(0).name == "OK"
    assert attributes["flag_values"].tolist() == [code.value for code in codes]
    assert attributes["flag_meanings"].split()[0] == "ok"
    assert len(attributes["flag_meanings"].split()) == len(attributes["flag_values"])
