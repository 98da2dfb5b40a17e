#!/usr/bin/env bash
# Resolve pyproject's dependencies for every supported Python minor, and the lowest versions it allows (on the lowest
# Python); needs uv and a package index.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}

resolve() {  # minor, file, further options
  local minor=$1 out=$2
  shift 2
  "$uv" pip compile pyproject.toml --extra notebooks --extra test -c constraints/pins.in --python-version "$minor" \
    --no-header --no-annotate --quiet "$@" | grep -v -E '^(nvidia-|cuda-|triton==)' > "$out.new"
  mv "$out.new" "$out"
}

for minor in 3.11 3.12 3.13; do
  resolve "$minor" "constraints/py${minor/./}.txt" --extra docs
done
resolve 3.11 constraints/oldest.txt --resolution lowest-direct
