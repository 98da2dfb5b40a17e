"""Ranges and choices stand beside the parameters, and are those of the library."""

import ast
import inspect

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

import phasekit as pk
from phasekit.batch import check_parameters, find_notebook, notebook_parameters
from phasekit.batch.conditions import Condition, find_bracket, is_met, read_condition, suggest_name, write_need
from phasekit.errors import SchemaError
from phasekit.workflows import list_workflows

from .tiny import notebook

WORKFLOWS = [workflow.name for workflow in list_workflows()]


@pytest.mark.parametrize(
    ("text", "bracket"),
    [
        ("weight ratio [0 <= x <= 1]", "[0 <= x <= 1]"),
        ("[x > 0]", "[x > 0]"),
        ("of the mean [0 < x ≤ 1]", "[0 < x ≤ 1]"),
        ("radius [x == 0 or x > inner + 1]", "[x == 0 or x > inner + 1]"),
        ("[-360 <= x <= 3.6e2]", "[-360 <= x <= 3.6e2]"),
        ("scaling {poisson, none}", "{poisson, none}"),
        ("step [nm]", ""),
        ("two of [1, 2]", ""),
        ("such as [a < b]", ""),
        ("[x]", ""),
        ("[x + 1]", ""),
        ("[x < open('f')]", ""),
        ("[x.y < 1]", ""),
        ("[x < 'a']", ""),
        ("[x in y]", ""),
        ("[not x < 1]", ""),
        ("[0 <= x <= 1] of the mean", ""),
        ('such as {"region": 1}', ""),
        ("one {alone}", ""),
        ("{}", ""),
        ("", ""),
    ],
)
def test_a_condition_is_a_bracket_at_the_end(text, bracket):
    assert find_bracket(text) == bracket


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("[0 <= x <= 1]", (0, 0.5, 1), (-1e-9, 1.1)),
        ("[x >= low + 2]", (4, None), (3,)),
        ("[x ≥ 1 and x ≠ 3]", (1, 2), (0, 3)),
        ("[x == 0 or x > low]", (0, 2.5), (1, 2)),
        ("[x > 0 and x != 5]", (4,), (5, 0)),
        ("[x < 2 * low - 1]", (2,), (3,)),
        ("[x >= -2]", (-2,), (-3,)),
        ("{fast, exact}", ("fast", None), ("slow", "Fast", "")),
        ("{1, 2, 4}", (1, 4), (3,)),
        ("[x > missing]", (0,), ()),
    ],
)
def test_a_value_meets_its_condition_or_not(text, good, bad):
    condition = read_condition(text)
    assert all(is_met(condition, value, {"low": 2}) for value in good)
    assert not any(is_met(condition, value, {"low": 2}) for value in bad)


@given(st.text())
def test_any_text_is_a_condition_or_none(text):
    for around in (text, f"[{text}]", f"[x < {text}]"):
        found = read_condition(around)
        assert found is None or isinstance(found, Condition)


def test_a_message_names_the_parameter_and_the_nearest_word():
    assert write_need(read_condition("[0 <= x <= max_x]"), "threshold") == "needs 0 <= threshold <= max_x"
    assert write_need(read_condition("{a, b}"), "mode") == "needs one of a, b"
    assert suggest_name("", ("seed",)) == ""
    assert suggest_name("qqqq", ("seed",)) == ""


def test_choices_in_a_line_of_their_own_and_examples_in_a_text(tmp_path):
    text = (
        'mode: str = "fast"  # of the fit\n# {fast, exact}\nn: int = 1\n# [x >= 1]\nword: str = "c"  # as in {a, b}\n'
    )
    found = notebook_parameters(notebook(tmp_path / "n.ipynb", parameters=text + "# a comment\nlast: int = 0"))
    assert found["mode"].condition.choices == ("fast", "exact")
    assert found["mode"].help == "of the fit {fast, exact}"
    assert found["n"].condition == read_condition("[x >= 1]")
    assert found["word"].condition is None, "the default is none of them: an example"
    assert found["last"].help == ""


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_number_and_choice_of_a_notebook_has_a_condition_that_its_default_meets(workflow):
    declared = notebook_parameters(find_notebook(workflow))
    defaults = {name: parameter.default for name, parameter in declared.items()}
    for name, parameter in declared.items():
        if parameter.kind in ("int", "float"):
            assert parameter.condition is not None, name
        if parameter.condition is not None:
            assert is_met(parameter.condition, parameter.default, defaults), name
            assert parameter.condition.names <= set(declared), name
    check_parameters(workflow, defaults)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_notebook_checks_its_parameters_in_its_first_line(workflow):
    cells = [cell for cell in nbformat.read(find_notebook(workflow), 4).cells if cell.cell_type == "code"]
    calls = [node for node in ast.walk(ast.parse(cells[1].source)) if isinstance(node, ast.Call)]
    first = ast.unparse(calls[0])
    assert first in (
        f"pk.viz.setup(interactive=interactive, workflow='{workflow}', parameters=globals())",
        "globals()",
    )
    assert f'workflow="{workflow}", parameters=globals()' in cells[1].source


def test_a_wrong_value_stops_a_notebook_at_once():
    for workflow, values, said in (
        ("nmf", {"rule": "nonsense"}, "needs one of combined, published"),
        ("stxm", {"min_confidence": 7}, "needs 0 <= min_confidence <= 1"),
        ("nmf", {"threshold": "0.5"}, "needs a value of type float"),
    ):
        with pytest.raises(SchemaError, match=said):
            pk.viz.setup(interactive=False, workflow=workflow, parameters=values)
    pk.viz.setup(interactive=False, workflow="nmf", parameters={"rule": "scree", "In": [], "pk": pk})


# What the library itself refuses, beside what the notebooks state.


def test_rules_and_scales_are_those_of_the_library():
    from phasekit.nmf.features.settings import SCALES
    from phasekit.nmf.image_metrics import METRICS
    from phasekit.nmf.rank_selection.choose import RULES

    declared = notebook_parameters(find_notebook("nmf"))
    # The notebook computes only some of the image metrics, and a rule needs its metric.
    computed = inspect.signature(pk.nmf.scan_ranks).parameters["metrics"].default
    usable = [rule for rule in RULES if rule not in METRICS or rule in computed]
    assert list(declared["rule"].condition.choices) == usable
    assert set(declared["scale"].condition.choices) == {str(scale).lower() for scale in SCALES}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_papermill_reads_the_lines_of_a_notebook(workflow, caplog):
    """A second ``=`` in a line would take the parameter out of `papermill --help-notebook`."""
    from papermill.translators import PythonTranslator

    cells = nbformat.read(find_notebook(workflow), 4).cells
    (cell,) = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    read = {parameter.name: parameter.help for parameter in PythonTranslator.inspect(cell)}
    assert not [record for record in caplog.records if "Unable to parse" in record.getMessage()]
    for name, parameter in notebook_parameters(find_notebook(workflow)).items():
        if "|" not in parameter.kind:  # papermill reads no unions
            assert parameter.help.startswith(read[name]), name


def limits_of(text):
    """Numbers at both ends of a range."""
    return [ast.literal_eval(part) for part in text.replace("<=", "x").split("x") if part.strip()]


@pytest.mark.parametrize("name", ["voltage_kv", "resolution_deg", "precession_deg"])
def test_ranges_of_the_template_bank_are_those_of_the_library(name, tmp_path):
    from .conftest import NICKEL

    (tmp_path / "Ni.cif").write_text(NICKEL, encoding="utf-8")
    phase = pk.io.open_phase(tmp_path / "Ni.cif")
    condition = notebook_parameters(find_notebook("acom"))[name].condition
    low, high = limits_of(condition.text)
    # Only what is refused: a bank at the fine end of the range takes long.
    for beyond in (low - 0.01, high + 0.01):
        assert not is_met(condition, beyond, {})
        with pytest.raises(SchemaError, match=name):
            pk.acom.build_templates([phase], **{"voltage_kv": 200.0, "resolution_deg": 10.0, name: beyond})
    assert is_met(condition, low, {})
    assert is_met(condition, high, {})


def test_the_ranges_of_the_thresholds_are_those_of_the_library():
    factors = pk.nmf.truth_as_factors(pk.io.load(pk.samples.path("nmf_grains")))
    condition = notebook_parameters(find_notebook("nmf"))["threshold"].condition
    for value in (-0.01, 0.0, 1.0, 1.01):
        if is_met(condition, value, {}):
            pk.nmf.find_overlap(factors, threshold=value, background=-1)
        else:
            with pytest.raises(SchemaError, match="threshold"):
                pk.nmf.find_overlap(factors, threshold=value, background=-1)
