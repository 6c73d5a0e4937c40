#!/usr/bin/env bash
# The demonstration: makes the environment if need be, then runs tools/demo.py with the arguments.
#   bash tools/demo.sh [demo.py's arguments]
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=tools/environment.sh
source "$root/tools/environment.sh" core
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
printf 'ig_tf: running the demonstration\n' >&2
# Not from the root: paths among the arguments are the caller's.
exec python "$root/tools/demo.py" "$@"
