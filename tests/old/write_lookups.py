"""Writes the lookups of TensorFlow 1.15.5 that tests/test_lookups.py reads: small SavedModels.

    python tests/old/write_lookups.py [NAME ...]        with Python 3.7 and tensorflow==1.15.5

What is written are the rows of tests/lookup_patterns.py and tests/lookup_columns.py that name a way
of keeping tables under `old`, into tests/fixtures/lookups_1_15/ROW-KEEPING. The lists of ops that a
MetaGraph carries are left out: they are larger than the graphs, and nothing here reads them.
"""

import pathlib
import shutil
import sys

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from tests import lookup_columns  # noqa: E402

FIXTURES = TESTS / "fixtures" / "lookups_1_15"


def strip(path):
    """Leaves out what no loader needs."""
    file = path / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in proto.meta_graphs:
        meta_graph.meta_info_def.ClearField("stripped_op_list")
    file.write_bytes(proto.SerializeToString(deterministic=True))


def main(names):
    """Writes the rows of these names, or all."""
    if tf.__version__ != "1.15.5":
        raise SystemExit("needs TensorFlow 1.15.5, found " + tf.__version__)
    lookup_patterns = lookup_columns.patterns
    for pattern in lookup_patterns.PATTERNS + lookup_columns.PATTERNS:
        for keeping in pattern.old:
            folder = FIXTURES / (pattern.name + "-" + keeping)
            if names and pattern.name not in names:
                continue
            if folder.exists():
                shutil.rmtree(str(folder))
            lookup_patterns.save(pattern, keeping, folder)
            strip(folder)
            print(folder.name, (folder / "saved_model.pb").stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
