"""A dataset is shown on half a screen in a notebook, and keeps every attribute."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.viz import fold_attributes
from phasekit.viz.dataset_text import render_html


def longest(data) -> int:
    parts = [data, *(data[name] for name in data.variables)]
    return max(len(value) for part in parts for value in part.attrs.values() if isinstance(value, str))


@pytest.mark.parametrize("sample", ["acom_two_phases", "nmf_grains", "stxm_nvpf"])
def test_a_sample_is_short_in_a_notebook_and_whole_in_memory(sample):
    data = pk.io.load(pk.samples.path(sample), lazy=True)
    before = data.copy(deep=False)
    short = fold_attributes(data)
    assert longest(short) < 130
    xr.testing.assert_identical(data, before)
    assert json.loads(data.attrs["provenance"]), "the data keep the whole text"
    assert short["intensity"].chunks == data["intensity"].chunks
    html = render_html(data)
    assert "_symmetry_equiv" not in html
    assert "_atom_site" not in html
    assert "folded" in html


def test_phases_become_their_names():
    scan = pk.io.open_4dstem(pk.samples.path("acom_two_phases"))
    assert fold_attributes(scan).attrs["phases"].startswith("Ni, LiFePO4 (folded")


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("nm", "nm"),
        (7.5, 7.5),
        ("line\n" * 100, "line line"),
        (json.dumps([{"step": "open"}, {"step": "align" * 20}]), "open → align"),
        (json.dumps({"a": "b" * 200}), '{"a":'),
        ("[" * 200, "[[["),
    ],
)
def test_every_kind_of_attribute_of_a_variable(value, short):
    data = xr.Dataset({"a": ("x", np.arange(3.0), {"note": value})}, {"x": ("x", [1, 2, 3], {"note": value})})
    for name in ("a", "x"):
        found = fold_attributes(data)[name].attrs["note"]
        assert found == short if not isinstance(short, str) else str(found).startswith(short)
        assert data[name].attrs["note"] == value
    assert fold_attributes(data["a"]).attrs["note"] == fold_attributes(data)["a"].attrs["note"]
