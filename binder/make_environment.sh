#!/usr/bin/env bash
# Write environment.yml (with the test tools) and binder/environment.yml (slim) from pyproject.toml.
# `make_environment.sh DIR` writes them below DIR instead, for the test that compares.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-.}
tool=${PYPROJECT2CONDA:-pyproject2conda}
python=$(dirname "$(command -v "$tool")")/python
mkdir -p "$out/binder"
common=(--python-include "python>=3.11,<3.14" --no-header --overwrite force)
"$tool" yaml --name phasekit --extra notebooks --extra test "${common[@]}" --output "$out/environment.yml"
"$tool" yaml --name phasekit-binder --extra notebooks "${common[@]}" --output "$out/binder/environment.yml"
# Names of conda-forge, the ceilings of the constraints file and Binder's Python.
"$python" binder/conda_packages.py "$out"
