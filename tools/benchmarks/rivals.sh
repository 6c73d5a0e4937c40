#!/usr/bin/env bash
# Makes an environment for each tool that tools/benchmark.py compares with, for --environments=DIR.
#   bash tools/benchmarks/rivals.sh DIR [captum xplique alibi saliency]
# IG_TF_PYTHON=/path/to/python3.11 chooses the Python; alibi needs 3.11 or older.
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
mkdir -p -- "$1"
folder=$(cd -- "$1" && pwd -P)
shift
[ $# -gt 0 ] || set -- captum xplique alibi saliency
for name in "$@"; do
  requirements=$here/requirements/$name.txt
  if [ ! -f "$requirements" ]; then
    printf 'ig_tf: no tool %s; there are: captum, xplique, alibi, saliency.\n' "$name" >&2
    exit 2
  fi
  printf 'ig_tf: the environment of %s\n' "$name" >&2
  "${IG_TF_PYTHON:-python3.11}" -m venv "$folder/$name"
  "$folder/$name/bin/python" -m pip install --quiet -r "$requirements"
done
