"""What `bazel test` runs: pytest over the test file that the target names."""

import sys

import pytest

if __name__ == "__main__":
    # A runfiles folder has no pyproject.toml, so what that says to pytest is said here.
    sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]]))
