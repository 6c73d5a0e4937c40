#!/usr/bin/env bash
# Builds everything with Bazel and runs tests by it, without a network.
#   bash tools/bazel_test.sh [TARGET...]      //tests/... for all; by default a quick subset
# Wants Bazel 4 (Debian, Ubuntu: apt-get install bazel-bootstrap) and, as python3, the environment
# of tools/environment.sh, which it makes unless IG_TF_BAZEL_PYTHON names a Python with
# requirements/test.txt. What Bazel would fetch for itself is given to it: rules_cc and rules_java that
# hand on what is built in, and coverage tools that nobody runs.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
  targets=(//tests:test_quadrature //tests:test_layout //tests:test_results)
fi
if ! command -v bazel >/dev/null 2>&1; then
  printf 'ig_tf: no bazel on the PATH: apt-get install bazel-bootstrap\n' >&2
  exit 3
fi
if [ -n "${IG_TF_BAZEL_PYTHON:-}" ]; then
  PATH="$(dirname -- "$IG_TF_BAZEL_PYTHON"):$PATH"
else
  # shellcheck source=tools/environment.sh
  source "$root/tools/environment.sh" test
fi
cd -- "$root"
work=$(mktemp -d "${TMPDIR:-/tmp}/ig_tf_bazel.XXXXXX")
trap 'bazel shutdown >/dev/null 2>&1 || true; rm -rf -- "$work"' EXIT

# Makes a repository of that name and prints the flag that gives it to Bazel.
#   stub NAME PACKAGE RULE...   PACKAGE/defs.bzl with the rules that Bazel has built in
stub() {
  local name=$1 package=$2 folder="$work/$1"
  shift 2
  mkdir -p "$folder/$package"
  printf 'workspace(name = "%s")\n' "$name" >"$folder/WORKSPACE"
  # Of the coverage tools this target is looked up, and not run.
  printf 'filegroup(name = "coverage_report_generator", visibility = ["//visibility:public"])\n' \
    >"$folder/BUILD"
  touch "$folder/$package/BUILD"
  printf '%s = native.%s\n' $(printf '%s\n' "$@" | sed 's/.*/& &/') >"$folder/$package/defs.bzl"
  printf -- '--override_repository=%s=%s\n' "$name" "$folder"
}

flags=(
  "$(stub rules_cc cc cc_binary cc_import cc_library cc_proto_library cc_test cc_toolchain \
    cc_toolchain_suite fdo_prefetch_hints fdo_profile objc_import objc_library)"
  "$(stub rules_java java java_binary java_import java_library java_package_configuration \
    java_plugin java_proto_library java_runtime java_test java_toolchain)"
  "$(stub remote_coverage_tools none)"
  --action_env=PATH --test_env=PATH --test_env=HOME
  --test_env=IG_TF_ZOO --test_env=IG_TF_TF115_PYTHON --test_env=IG_TF_JAX_PYTHON
  "--jobs=${IG_TF_BAZEL_JOBS:-2}" "--local_test_jobs=${IG_TF_BAZEL_JOBS:-2}"
  --test_output=errors --noshow_progress
)
bazel build "${flags[@]}" //ig_tf/... //tools/... //tests/...
bazel test "${flags[@]}" --test_summary=short "${targets[@]}"
