"""What lies in the folder beside the project's files changes no command; CI does what the README says."""

import re
import subprocess

import pytest

from . import machines, tree
from .machines import Row, read_report, table

TRACKED = {"pyproject.toml", "phasekit/__init__.py", "notebooks/01.ipynb"}
LYING = {
    "runs/stxm/notebook.ipynb",
    "notebooks/.ipynb_checkpoints/01-checkpoint.ipynb",
    "notebooks/executed.ipynb",
    "venv2/lib/module.py",
    ".vscode/settings.json",
    "phasekit/__pycache__/x.py",
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout in a path with blanks and other letters, with things lying about."""
    root = tmp_path / "dépôt, 測"
    for name in TRACKED | LYING:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(tree, "ROOT", root)
    tree.project_files.cache_clear()
    yield root
    tree.project_files.cache_clear()


def git(root, *words):
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


def test_the_project_is_what_git_tracks(checkout, tmp_path):
    git(checkout, "init", "--quiet")
    git(checkout, "add", *TRACKED)
    assert set(tree.project_files()) == TRACKED
    assert [path.name for path in tree.tracked("notebooks", "*.ipynb")] == ["01.ipynb"]
    (checkout / "pyproject.toml").unlink()  # removed, and git does not know yet
    tree.project_files.cache_clear()
    tree.copy_to(tmp_path / "copy")
    copied = {
        path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*") if path.is_file()
    }
    assert copied - {".copy-of-the-project"} == TRACKED - {"pyproject.toml"}
    tree.copy_to(tmp_path / "copy")  # again
    with pytest.raises(SystemExit, match="not empty"):
        tree.copy_to(checkout)
    assert (checkout / "phasekit/__init__.py").exists()


def test_an_archive_inside_another_project_is_the_archive(checkout):
    git(checkout.parent, "init", "--quiet")
    assert set(tree.project_files()) >= TRACKED


def test_an_archive_without_git_gives_the_project_s_folders(checkout, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(checkout / "nowhere"))
    found = set(tree.project_files())
    assert found >= TRACKED
    assert not found & (LYING - {"notebooks/executed.ipynb"})


def test_ci_runs_the_commands_of_the_readme_in_its_order():
    readme = (machines.ROOT / "README.md").read_text(encoding="utf-8")
    script = (machines.ROOT / ".ci/run").read_text(encoding="utf-8")
    promised = [name for name in re.findall(r"^    make (\w+)", readme, re.MULTILINE) if name in ("demo", "test")]
    assert promised == ["demo", "test"]
    done = re.findall(r"^\s*(?:time )?make ([\w-]+)", script, re.MULTILINE)
    assert done[:2] == promised
    assert "test-machines" in done
    assert script.index("git clone") < script.index("make demo")


def test_machines_differ_and_name_their_switches():
    known = machines.machines()
    assert len({machine.name for machine in known}) == len(known) >= 3
    assert sum(machine.abroad for machine in known) == 1
    assert any("NPY_DISABLE_CPU_FEATURES" in machine.environment for machine in known)
    assert {machine.environment.get("OMP_NUM_THREADS") for machine in known} >= {"1", "2"}


def test_a_report_is_counted(tmp_path):
    suite = '<testsuite tests="9" failures="1" errors="1" skipped="2"/>'
    (tmp_path / "report.xml").write_text(f"<testsuites>{suite}</testsuites>", encoding="utf-8")
    row = read_report("here", tmp_path / "report.xml", 90.0)
    assert row == Row("here", 5, 2, 2, 90.0)
    assert "1.5" in table([row]).splitlines()[1]


def test_the_quick_selection_of_the_emulated_machines_exists():
    assert not [path for path in machines.QUICK if not (tree.ROOT / path).exists()]
