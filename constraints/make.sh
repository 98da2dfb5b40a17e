#!/usr/bin/env bash
# Resolve pyproject's dependencies for every supported Python minor; needs uv and a package index.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}
for minor in 3.11 3.12 3.13; do
  out="constraints/py${minor/./}.txt"
  "$uv" pip compile pyproject.toml --extra notebooks --extra test -c constraints/pins.in --python-version "$minor" \
    --no-header --no-annotate --quiet | grep -v -E '^(nvidia-|cuda-|triton==)' > "$out.new"
  mv "$out.new" "$out"
done
