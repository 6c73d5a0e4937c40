#!/usr/bin/env bash
# All tests: makes the environment if need be, then runs pytest over tests/ in two processes.
#   bash tools/test.sh [pytest's arguments]      e.g. -k quadrature, -n 0, tests/test_layout.py
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/environment.sh
source "$root/tools/environment.sh" test
cd -- "$root"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
printf 'ig_tf: running the tests\n' >&2
# -rs: what was skipped, and why. Which folder is in pyproject.toml (testpaths).
exec python -m pytest -q -rs -n 2 "$@"
