# shellcheck shell=bash
# Makes the project's own Python environment, .venv in the repository root, and puts it on PATH.
#
#   source tools/environment.sh [core|test]      (in bash; run instead of sourced, it only makes it)
#
# core: what ig_tf needs to run (the default); test: that and what the tests need. Pinned versions
# come from requirements/*.txt and are installed again only when those files have changed.
# IG_TF_PYTHON=/path/to/python chooses the Python (3.10, 3.11 or 3.12) that the environment is made
# of. Safe to run twice, from any directory, and by two terminals at once.

_ig_tf_say() {
  printf 'ig_tf: %s\n' "$*" >&2
}

# True where $1 is a Python that TensorFlow has wheels for and that can make an environment.
_ig_tf_suits() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null &&
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Prints the Python to use. A name on PATH is not proof of one (version managers leave stand-ins
# that only print an error), so each is run before it is taken.
_ig_tf_find_python() {
  local candidate
  if [ -n "${IG_TF_PYTHON:-}" ]; then
    if _ig_tf_suits "$IG_TF_PYTHON"; then
      printf '%s\n' "$IG_TF_PYTHON"
      return 0
    fi
    _ig_tf_say "IG_TF_PYTHON=$IG_TF_PYTHON is no Python 3.10 to 3.12 with venv and ensurepip."
    return 1
  fi
  for candidate in python3.11 python3.12 python3.10 python3; do
    if command -v "$candidate" >/dev/null 2>&1 && _ig_tf_suits "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  _ig_tf_say 'No Python 3.10, 3.11 or 3.12 with venv and ensurepip was found on PATH.'
  _ig_tf_say 'Debian and Ubuntu: apt-get install python3 python3-venv.'
  _ig_tf_say 'Elsewhere: python.org, pyenv or conda.'
  _ig_tf_say 'One that is not on PATH can be named: IG_TF_PYTHON=/path/to/python3.11'
  return 1
}

_ig_tf_version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

# True where the environment $1 works; and, if a Python was named, is made of that version. One that
# was moved is as good as none, since the programs in it name the place where it was made.
_ig_tf_usable() {
  local venv=$1
  [ -x "$venv/bin/python" ] || return 1
  grep -qsF "VIRTUAL_ENV=" "$venv/bin/activate" || return 1
  grep -qsF "$venv" "$venv/bin/activate" || return 1
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
  [ -z "${IG_TF_PYTHON:-}" ] ||
    [ "$(_ig_tf_version "$IG_TF_PYTHON" 2>/dev/null)" = "$(_ig_tf_version "$venv/bin/python")" ]
}

# Makes the environment $1 unless there is a usable one.
_ig_tf_make() {
  local venv=$1 python
  if _ig_tf_usable "$venv"; then
    return 0
  fi
  python=$(_ig_tf_find_python) || return 1
  if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ]; then
    _ig_tf_say "$venv exists and is not a Python environment: please move it away."
    return 1
  fi
  _ig_tf_say "making .venv with $python ($(_ig_tf_version "$python"))"
  rm -rf -- "$venv"
  "$python" -m venv "$venv"
}

# Prints a checksum over the files that are named: it tells whether an installation is current.
_ig_tf_checksum() {
  local python=$1
  shift
  "$python" - "$@" <<'PYTHON'
import hashlib, pathlib, sys
print(hashlib.sha256(b"\0".join(pathlib.Path(p).read_bytes() for p in sys.argv[1:])).hexdigest())
PYTHON
}

# Installs requirements/$3.txt and the project itself, of root $1, into the environment $2.
_ig_tf_install() {
  local root=$1 venv=$2 what=$3 stamp checksum
  stamp="$venv/ig_tf-$what.stamp"
  checksum=$(_ig_tf_checksum "$venv/bin/python" \
    "$root/requirements/$what.txt" "$root/pyproject.toml") || return 1
  if [ "$(cat "$stamp" 2>/dev/null)" = "$checksum" ]; then
    _ig_tf_say ".venv is up to date (requirements/$what.txt)"
    return 0
  fi
  _ig_tf_say "installing requirements/$what.txt into .venv (at first TensorFlow, about 600 MB)"
  "$venv/bin/python" -m pip install --quiet --require-hashes --only-binary=:all: \
    -r "$root/requirements/$what.txt" || return 1
  # Without isolation the build uses the pinned setuptools and downloads nothing.
  "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation \
    --editable "$root" || return 1
  printf '%s\n' "$checksum" >"$stamp" # last, so that an interrupted installation is done again
}

ig_tf_environment() {
  local what=${1:-core} root venv status=0
  case "$what" in
  core | test) ;;
  *)
    _ig_tf_say "environment.sh takes core or test, not '$what'"
    return 2
    ;;
  esac
  root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P) || return 1
  venv="$root/.venv"
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  # A Python that runs in a Python of another home finds the wrong standard library.
  unset PYTHONHOME
  if command -v flock >/dev/null 2>&1; then
    (
      # One at a time: two terminals may start at once.
      exec 9>"$root/.venv.lock" || exit 1
      flock -n 9 || { _ig_tf_say 'waiting for another installation to end' && flock 9; }
      _ig_tf_make "$venv" 9>&- && _ig_tf_install "$root" "$venv" "$what" 9>&-
    ) || status=$?
  else
    { _ig_tf_make "$venv" && _ig_tf_install "$root" "$venv" "$what"; } || status=$?
  fi
  if [ "$status" -ne 0 ]; then
    _ig_tf_say 'the environment could not be made (see above)'
    return "$status"
  fi
  case ":$PATH:" in
  ":$venv/bin:"*) ;;
  *) export PATH="$venv/bin:$PATH" ;;
  esac
  export VIRTUAL_ENV="$venv"
}

ig_tf_environment "$@"
