"""Damaged files: a ReadError or a stack of the right shape; never a crash, a hang or a silently wrong shape.

The opening is done in a process of its own, because a library written in C may take its process down; it gets one
list of files and answers one line for each, so a file that kills or blocks it is known by name.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

import phasekit as pk
from tests.io import stack_files

N_FLIPS = 80
SECONDS = 240

WORKER = """
import json, sys, time, warnings
import numpy as np
import phasekit as pk
from phasekit.errors import ReadError

warnings.simplefilter("ignore")
opener = getattr(pk.io, sys.argv[1])
for line in sys.stdin:
    path = json.loads(line)
    start = time.monotonic()
    try:
        data = opener(path)
        data = data.compute()
        answer = {"sizes": dict(data.sizes), "finite": bool(np.isfinite(data["energy"]).all())}
    except ReadError as error:
        answer = {"refused": str(error)}
    except BaseException as error:
        answer = {"wrong": f"{type(error).__name__}: {error}"}
    answer["seconds"] = time.monotonic() - start
    print(json.dumps(answer), flush=True)
"""


def open_all(paths, opener="open_stxm"):
    """Answer for each path; a path that killed or blocked the process fails the test with its name."""
    lines = "".join(json.dumps(str(p)) + "\n" for p in paths)
    try:
        run = subprocess.run(
            [sys.executable, "-c", WORKER, opener],
            input=lines,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        out, ended = run.stdout, f"exit {run.returncode}: {run.stderr[-300:]}"
    except subprocess.TimeoutExpired as error:
        out, ended = (error.stdout or b"").decode(), "a hang"
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(paths), f"{paths[len(answers)]} ended the process ({ended})"
    return answers


def damaged(path, target, n_flips, seed):
    """Copies of the bytes of ``path`` at ``target(i)``: cut at many lengths, then with one to eight bytes changed."""
    rng = np.random.default_rng(seed)
    whole = path.read_bytes()
    cuts = np.unique(np.r_[0, 1, 7, 8, 100, np.geomspace(2, len(whole), 20).astype(int), len(whole) - 1])
    made = []
    for cut in cuts[cuts < len(whole)]:
        made.append(target(len(made)))
        made[-1].write_bytes(whole[:cut])
    for _ in range(n_flips):
        changed = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 9)):
            changed[at] ^= int(rng.integers(1, 256))
        made.append(target(len(made)))
        made[-1].write_bytes(bytes(changed))
    return made, int((cuts < len(whole)).sum())


def judge(paths, answers, allowed_sizes):
    wrong = {p.name: a["wrong"] for p, a in zip(paths, answers, strict=True) if "wrong" in a}
    assert not wrong
    for path, answer in zip(paths, answers, strict=True):
        if "refused" in answer:
            assert str(path.parent) in answer["refused"]
            assert "To fix it" in answer["refused"]
        else:
            sizes = {k: v for k, v in answer["sizes"].items() if k in ("energy", "scan_y", "scan_x", "reference")}
            assert sizes in allowed_sizes, path
            assert answer["finite"]


FULL = {"energy": 3, "scan_y": 4, "scan_x": 6}


@pytest.mark.parametrize("kind", ["pollux", "hermes", "maxymus", "own"])
def test_hdf5(stxm, tmp_path, kind):
    if kind == "own":
        path = pk.io.save(pk.io.open_stxm(stxm.ncb(tmp_path / "a.ncb")), tmp_path / "good.nc")
    else:
        path = getattr(stxm, kind)(tmp_path / "good.hdf5")
    paths, n_cut = damaged(path, lambda i: tmp_path / f"bad{i}{path.suffix}", N_FLIPS, seed=1)
    answers = open_all([path, *paths])
    assert answers[0]["sizes"] == FULL
    assert all("refused" in a for a in answers[1 : n_cut + 1])
    judge(paths, answers[1:], [FULL])


FURTHER = {
    "mantis": stack_files.mantis,
    "mistral": lambda path: stack_files.mistral(path, kind="aligned"),
    "pystxmcontrol": lambda path: stack_files.pystxmcontrol_2(path, binned=False),
}


@pytest.mark.parametrize("kind", FURTHER)
def test_hdf5_of_further_programs(tmp_path, kind):
    path = FURTHER[kind](tmp_path / "good.hdf5")
    paths, n_cut = damaged(path, lambda i: tmp_path / f"bad{i}{path.suffix}", N_FLIPS, seed=6)
    answers = open_all([path, *paths])
    assert answers[0]["sizes"] == FULL
    assert all("refused" in a for a in answers[1 : n_cut + 1])
    judge(paths, answers[1:], [FULL])


def test_zarr(stxm, tmp_path):
    good = pk.io.save(pk.io.open_stxm(stxm.ncb(tmp_path / "a.ncb")), tmp_path / "good.zarr")
    files = [f.relative_to(good) for f in sorted(good.rglob("*")) if f.is_file()]
    rng = np.random.default_rng(2)
    paths = []
    for i in range(60):
        paths.append(tmp_path / f"bad{i}.zarr")
        pk.io.save(pk.io.load(good), paths[-1])
        victim = paths[-1] / files[rng.integers(len(files))]
        whole = bytearray(victim.read_bytes())
        if i % 2:
            whole[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        victim.write_bytes(whole if i % 2 else whole[: rng.integers(len(whole))])
    judge(paths, open_all(paths), [FULL])


def test_sdf_header(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "good.hdr")
    frames = {f.name: f.read_bytes() for f in tmp_path.glob("*.xim")}

    def target(i):
        for name, content in frames.items():
            (tmp_path / name.replace("good", f"bad{i}")).write_bytes(content)
        return tmp_path / f"bad{i}.hdr"

    paths, _ = damaged(path, target, N_FLIPS, seed=3)
    judge(paths, open_all(paths), [FULL])


def test_sdf_frames(stxm, tmp_path):
    header = stxm.sdf(tmp_path / "good.hdr").read_text(encoding="utf-8")
    frames = {f.name: f.read_bytes() for f in sorted(tmp_path.glob("*.xim"))}
    paths = []

    def target(i):
        (tmp_path / f"bad{i}.hdr").write_text(header, encoding="utf-8")
        for name, content in frames.items():
            (tmp_path / name.replace("good", f"bad{i}")).write_bytes(content)
        paths.append(tmp_path / f"bad{i}.hdr")
        return tmp_path / f"bad{i}_a001.xim"

    _, n_cut = damaged(tmp_path / "good_a001.xim", target, 60, seed=4)
    answers = open_all(paths)
    judge(paths, answers, [FULL])
    # all cuts but the last few bytes lose a number; cutting inside the last number alone cannot be seen
    assert sum("refused" in a for a in answers[:n_cut]) >= n_cut - 3


def test_ncb(stxm, tmp_path):
    path = stxm.ncb(tmp_path / "good.ncb")
    header, data = path.with_suffix(".dat").read_bytes(), path.read_bytes()

    def with_header(i):
        (tmp_path / f"data{i}.dat").write_bytes(header)
        return tmp_path / f"data{i}.ncb"

    def with_data(i):
        (tmp_path / f"head{i}.ncb").write_bytes(data)
        return tmp_path / f"head{i}.dat"

    paths, n_cut = damaged(path, with_header, 20, seed=5)
    answers = open_all(paths)
    assert all("refused" in a for a in answers[:n_cut])
    judge(paths, answers, [FULL])
    headers, _ = damaged(path.with_suffix(".dat"), with_data, N_FLIPS, seed=6)
    paths = [p.with_suffix(".ncb") for p in headers]
    # the header is all that says how the bytes fold: a changed digit may fold as many bytes in another way
    answers = open_all(paths)
    same_bytes = [a["sizes"] for a in answers if "sizes" in a and np.prod(list(a["sizes"].values())) == 72]
    judge(paths, answers, [FULL, *same_bytes])


@pytest.mark.parametrize("imagej", [False, True])
def test_tiff(stxm, tmp_path, imagej):
    path = stxm.tiff(tmp_path / "good.tif", imagej=imagej)
    energies = path.with_suffix(".txt").read_bytes()

    def target(i):
        (tmp_path / f"bad{i}.txt").write_bytes(energies)
        return tmp_path / f"bad{i}.tif"

    paths, n_cut = damaged(path, target, N_FLIPS, seed=7)
    answers = open_all(paths)
    judge(paths, answers, [FULL])
    assert sum("refused" in a for a in answers[:n_cut]) >= n_cut - 1


@pytest.mark.parametrize("suffix", [".csv", ".xdi", ".nc"])
def test_references(tmp_path, suffix):
    good = tmp_path / f"good{suffix}"
    energy = np.linspace(512, 520, 12)
    if suffix == ".nc":
        (tmp_path / "a.txt").write_text("".join(f"{e} {e - 511}\n" for e in energy), encoding="utf-8")
        pk.io.save(pk.io.open_references(tmp_path / "a.txt"), good)
    elif suffix == ".csv":
        good.write_text("energy,Na3,Na1\n" + "".join(f"{e:.2f},{e - 511:.2f},1.0\n" for e in energy), encoding="utf-8")
    else:
        lines = "".join(f"{e:.2f} {e - 511:.2f}\n" for e in energy)
        good.write_text(
            f"# XDI/1.0\n# Column.1: energy eV\n# Column.2: norm\n#----\n# energy norm\n{lines}", encoding="utf-8"
        )
    paths, _ = damaged(good, lambda i: tmp_path / f"bad{i}{suffix}", N_FLIPS, seed=8)
    answers = open_all(paths, "open_references")
    # text that breaks off after a whole line is a shorter table; a damaged separator may join or part rows
    tables = [a["sizes"] for a in answers if "sizes" in a and suffix != ".nc" and 2 <= a["sizes"]["energy"] <= 13]
    judge(paths, answers, [{"energy": 12, "reference": 2 if suffix == ".csv" else 1}, *tables])
