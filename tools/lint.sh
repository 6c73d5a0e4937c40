#!/usr/bin/env bash
# The linter and the type checker, as pyproject.toml configures them; about ten seconds.
#   bash tools/lint.sh
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/environment.sh
source "$root/tools/environment.sh" test
cd -- "$root"
printf 'ig_tf: ruff and mypy\n' >&2
python -m ruff check .
python -m mypy
