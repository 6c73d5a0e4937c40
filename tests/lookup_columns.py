"""Lookups as feature columns write them: `input_layer`, `linear_model` and sequence columns.

Rows are as in lookup_patterns.py; tables are made by the columns and get their values afterwards.
"""

import numpy as np
import tensorflow as tf

import lookup_patterns as patterns
from lookup_patterns import (BOTH, DIM, LONGEST, RECORDS, ROWS, TEXTS, WEIGHTED, WORDS, Expected,
                             Pattern, Record, known_vectors, vectors_of)
from lookup_truth import ANY, Example, Leaf, bag

v1 = tf.compat.v1
columns = tf.feature_column
EDGES = [0.0, 1.0, 2.0]  # of the bucketized number: four buckets
DEEP = "input_layer/words_embedding/embedding_weights"


def words_column():
    return columns.categorical_column_with_vocabulary_list("words", WORDS)


def hashed_column(name="words"):
    return columns.categorical_column_with_hash_bucket(name, ROWS)


def embedded(column, **options):
    return columns.embedding_column(column, DIM, **options)


def placeholders(**dtypes):
    """Inputs [batch, 4] of strings, [batch, 1] of numbers."""
    return {name: v1.placeholder(dtype, [None, LONGEST if dtype == tf.string else 1], name=name)
            for name, dtype in dtypes.items()}


def scope(keep):
    """Variables made inside are kept as asked."""
    partitioner = v1.fixed_size_partitioner(2) if keep.partitioned else None
    return v1.variable_scope(v1.get_variable_scope(), use_resource=keep.resource,
                             partitioner=partitioner)


def input_layer(made, **dtypes):
    """A model of `input_layer`; `made()`: its columns, in order of their names."""
    def build(keep):
        inputs = placeholders(**dtypes)
        with scope(keep):
            return inputs, v1.feature_column.input_layer(inputs, made())
    return build


def linear_model(made, **dtypes):
    def build(keep):
        inputs = placeholders(**dtypes)
        with scope(keep):
            return inputs, v1.feature_column.linear_model(inputs, made())
    return build


def parsed(made, layer, **features):
    """A model whose columns are parsed out of tf.Examples."""
    def build(keep):
        inputs, found = patterns.records_input(**features)
        with scope(keep):
            return inputs, getattr(v1.feature_column, layer)(found, made())
    return build


WORDS_AND_WEIGHTS = {"words": tf.io.VarLenFeature(tf.string),
                     "weights": tf.io.VarLenFeature(tf.float32)}


def weighted_column():
    return columns.weighted_categorical_column(words_column(), "weights")


# Truths ------------------------------------------------------------------------------------------


def vocabulary_bag(table, combiner):
    def truth(row):
        words = patterns.words_of(row)
        vectors = known_vectors(words, vectors_of(table, ROWS, DIM))
        return Example(bag(words, vectors, combiner), np.zeros(DIM))
    return truth


def hashed_bag(table, combiner, name="words", place=0, start=0):
    vectors = vectors_of(table, ROWS, DIM)
    return lambda row: bag(row[name], [vectors[one] for one in patterns.hashed(row[name])],
                           combiner, place, start)


def weighted_bag(table, width, combiner):
    def truth(row):
        record = row["examples"]
        vectors = known_vectors(record["words"], vectors_of(table, ROWS, width))
        return Example(bag(record["words"], vectors, combiner, weights=record["weights"]),
                       np.zeros(width))
    return truth


SHARED = "input_layer/document_query_shared_embedding/embedding_weights"
QUERIES = tuple({"document": document, "query": query} for document, query in (
    (["a", "b"], ["b"]), (["c", "c", "a"], []), ([], ["d", "a"]), (["e"], ["e"])))


def shared(row):
    leaves = ()
    for place, name in enumerate(("document", "query")):
        leaves += hashed_bag(SHARED, "mean", name, place, DIM * place)(row)
    return Example(leaves, np.zeros(2 * DIM))


# Records, since a dense "" would be crossed as a word.
KINDS = tuple({"examples": Record(kinds=kinds, words=words)} for kinds, words in (
    (["x"], ["a", "b"]), (["x"], ["a"]), (["y", "z"], ["c", "d", "c"]), ([], ["a"]), (["x"], [])))


KINDS_AND_WORDS = {name: tf.io.VarLenFeature(tf.string) for name in ("kinds", "words")}


def crossed_column():
    return columns.crossed_column(["kinds", "words"], ROWS)


def crosses(row):
    """Buckets of all pairs of a row, by the op that crossed columns use."""
    row = row["examples"]
    if not (row["kinds"] and row["words"]):
        return []
    sparse = [tf.sparse.from_dense(tf.constant([row[name]])) for name in ("kinds", "words")]
    return tf.sparse.cross_hashed(sparse, ROWS).values.numpy()


def crossed_bag(table, width, combiner):
    def truth(row):
        vectors = vectors_of(table, ROWS, width)
        found = crosses(row)
        return Example(bag([ANY] * len(found), [vectors[one] for one in found], combiner),
                       np.zeros(width))
    return truth


MIXED = tuple({"words": words, "x": [x], "y": [y]} for words, x, y in (
    (["a", "b"], 0.5, 1.0), (["b"], -1.0, 0.25), ([], 1.5, -0.5), (["c", "c", "d"], 2.5, 2.0),
    (["unknown", "a"], 0.5, 1.0)))


def bucket(row):
    return int(np.digitize(row["x"][0], EDGES))


def bucketized_column():
    return columns.bucketized_column(columns.numeric_column("x"), EDGES)


def bucketized(row):
    """`input_layer` of x in buckets, then x and y as they are (columns go by their names)."""
    hot = np.zeros(6)
    number = columns_of_bucketized()
    leaves = (Leaf(0, None, np.array([row["x"][0]]), 1.0, number["x"]),
              Leaf(1, None, np.array([1.0]), 1.0, number["x_bucketized"] + bucket(row)),
              Leaf(2, None, np.array([row["y"][0]]), 1.0, number["y"]))
    return Example(leaves, hot)


def columns_of_bucketized():
    """Where each column of `bucketized` starts: sorted by name."""
    return {"x": 0, "x_bucketized": 1, "y": 5}


def indicator(row):
    """Words as counts of a vocabulary (unknown ones are dropped), then y."""
    leaves = []
    for word in row["words"]:
        hot = np.zeros(ROWS)
        if word in WORDS:
            hot[WORDS.index(word)] = 1
        leaves.append(Leaf(0, word, hot, 1.0, 0))
    return Example((*leaves, Leaf(1, None, np.array([row["y"][0]]), 1.0, ROWS)),
                   np.zeros(ROWS + 1))


def linear(row):
    """`linear_model` of words, x in buckets, y; without bias, all of width 1."""
    words = known_vectors(row["words"], vectors_of("linear_model/words/weights", ROWS, 1))
    buckets = vectors_of("linear_model/x_bucketized/weights", 4, 1)
    number = vectors_of("linear_model/y/weights", 1, 1)
    return Example((*bag(row["words"], words, "sum"),
                    Leaf(1, ANY, buckets[bucket(row)]),
                    Leaf(2, None, number[0] * row["y"][0])), np.zeros(1))


def wide_and_deep_columns(keep):
    """One column in an embedding, an indicator and a linear model: three encoders."""
    inputs = placeholders(words=tf.string)
    with scope(keep):
        deep = v1.feature_column.input_layer(
            inputs, [embedded(words_column()), columns.indicator_column(words_column())])
        wide = v1.feature_column.linear_model(inputs, [words_column()])
    return inputs, tf.concat([deep, wide], 1)


def wide_and_deep(row):
    words = row["words"]
    deep = bag(words, known_vectors(words, vectors_of(DEEP, ROWS, DIM)), "mean")
    hot = [Leaf(1, word, np.eye(ROWS)[WORDS.index(word)] if word in WORDS else np.zeros(ROWS),
                1.0, DIM) for word in words]
    wide = bag(words, known_vectors(words, vectors_of("linear_model/words/weights", ROWS, 1)),
               "sum", 2, DIM + ROWS)
    return Example((*deep, *hot, *wide), np.zeros(DIM + ROWS + 1))


SEQUENCE = "sequence_input_layer/words_embedding/embedding_weights"


def sequence(keep):
    """tf.contrib.feature_column.sequence_input_layer: [batch, longest, dim] and the lengths."""
    from tensorflow.contrib import feature_column as contrib  # TensorFlow 1.15 alone has it

    words = v1.placeholder(tf.string, [None, LONGEST], name="words")
    column = columns.sequence_categorical_column_with_vocabulary_list("words", WORDS)
    with scope(keep):
        layer, lengths = contrib.sequence_input_layer(
            {"words": patterns.sparse_words(words)}, [columns.embedding_column(column, DIM)])
    counts = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]
    return {"words": words}, tf.reduce_sum(layer, 1) / counts


def averaged(row):
    words = row["words"]
    vectors = known_vectors(words, vectors_of(SEQUENCE, ROWS, DIM))
    share = 1.0 / max(len(words), 1)  # unknown words count too
    return Example(tuple(Leaf(0, word, np.zeros(DIM) if vector is None else vector, share)
                         for word, vector in zip(words, vectors)), np.zeros(DIM))


# The table ---------------------------------------------------------------------------------------


def _values(**shapes):
    return {name: vectors_of(name, *shape) for name, shape in shapes.items()}


def _number(name):
    return Expected((name,), None, None, None, kinds=("dense",))


def _one_hot(name):
    return Expected((name,), None, None, None, kinds=("one_hot",))


_STRINGS = {"words": tf.string}
_LINEAR = "linear_model/words/weights"
_CROSSED = "input_layer/kinds_X_words_embedding/embedding_weights"
_WIDE_CROSSED = "linear_model/kinds_X_words/weights"

PATTERNS = [
    *[Pattern("column_" + combiner,
              input_layer(lambda combiner=combiner: [embedded(words_column(), combiner=combiner)],
                          **_STRINGS),
              (Expected(("words",), DEEP, combiner=combiner),), TEXTS,
              vocabulary_bag(DEEP, combiner), "counted_words",
              ("ref", "resource", "div") if combiner == "mean" else ("resource",),
              ("ref", "resource", "frozen", "div") if combiner == "mean" else (),
              values=_values(**{DEEP: (ROWS, DIM)}))
      for combiner in ("mean", "sqrtn")],
    Pattern("column_parsed",
            parsed(lambda: [embedded(words_column())], "input_layer",
                   words=tf.io.VarLenFeature(tf.string)),
            (Expected(("words",), DEEP, combiner="mean"),), RECORDS, vocabulary_bag(DEEP, "mean"),
            "counted_words", ("resource",), ("ref",), values=_values(**{DEEP: (ROWS, DIM)})),
    Pattern("column_shared",
            input_layer(lambda: v1.feature_column.shared_embedding_columns(
                [hashed_column("document"), hashed_column("query")], DIM),
                document=tf.string, query=tf.string),
            tuple(Expected((name,), SHARED, combiner="mean") for name in ("document", "query")),
            QUERIES, shared, "counted_words", ("resource",), ("ref",),
            values=_values(**{SHARED: (ROWS, DIM)})),
    Pattern("column_weighted",
            parsed(lambda: [embedded(weighted_column())], "input_layer", **WORDS_AND_WEIGHTS),
            (Expected(("words",), "input_layer/words_weighted_by_weights_embedding/"
                                  "embedding_weights", combiner="mean"),),
            WEIGHTED, weighted_bag("input_layer/words_weighted_by_weights_embedding/"
                                   "embedding_weights", DIM, "mean"),
            "weights_alone", ("resource",), ("ref",),
            values=_values(**{"input_layer/words_weighted_by_weights_embedding/"
                              "embedding_weights": (ROWS, DIM)})),
    Pattern("column_crossed",
            parsed(lambda: [embedded(crossed_column())], "input_layer", **KINDS_AND_WORDS),
            (Expected(("kinds", "words"), _CROSSED, combiner="mean"),), KINDS,
            crossed_bag(_CROSSED, DIM, "mean"), "counted_words", ("resource",), ("ref",),
            values=_values(**{_CROSSED: (ROWS, DIM)})),
    Pattern("column_bucketized",
            input_layer(lambda: [columns.numeric_column("x"), bucketized_column(),
                                 columns.numeric_column("y")], x=tf.float32, y=tf.float32),
            (_number("x"), _one_hot("x"), _number("y")),
            tuple({"x": row["x"], "y": row["y"]} for row in MIXED), bucketized, "rounded_number",
            ("resource",), ("ref",)),
    Pattern("column_indicator",
            input_layer(lambda: [columns.indicator_column(words_column()),
                                 columns.numeric_column("y")], y=tf.float32, **_STRINGS),
            (_one_hot("words"), _number("y")),
            tuple({"words": row["words"], "y": row["y"]} for row in MIXED), indicator,
            "counted_words", ("resource",), ("ref",)),
    Pattern("linear_model",
            linear_model(lambda: [words_column(), bucketized_column(),
                                  columns.numeric_column("y")],
                         x=tf.float32, y=tf.float32, **_STRINGS),
            (Expected(("words",), _LINEAR, ROWS, 1, "sum"),
             Expected(("x",), "linear_model/x_bucketized/weights", 4, 1, "sum",
                      ("tokens", "pooled")), _number("y")), MIXED, linear, "dense_layer",
            BOTH, ("ref",),
            values=_values(**{_LINEAR: (ROWS, 1), "linear_model/x_bucketized/weights": (4, 1),
                              "linear_model/y/weights": (1, 1)})),
    Pattern("linear_weighted",
            parsed(lambda: [weighted_column()], "linear_model", **WORDS_AND_WEIGHTS),
            (Expected(("words",), "linear_model/words_weighted_by_weights/weights", ROWS, 1,
                      "sum"),), WEIGHTED,
            weighted_bag("linear_model/words_weighted_by_weights/weights", 1, "sum"),
            "weights_alone", ("resource",), ("ref",),
            values=_values(**{"linear_model/words_weighted_by_weights/weights": (ROWS, 1)})),
    Pattern("linear_crossed",
            parsed(lambda: [crossed_column()], "linear_model", **KINDS_AND_WORDS),
            (Expected(("kinds", "words"), _WIDE_CROSSED, ROWS, 1, "sum"),), KINDS,
            crossed_bag(_WIDE_CROSSED, 1, "sum"), "counted_words", ("resource",), ("ref",),
            values=_values(**{_WIDE_CROSSED: (ROWS, 1)})),
    Pattern("wide_and_deep", wide_and_deep_columns,
            (Expected(("words",), DEEP, combiner="mean"), _one_hot("words"),
             Expected(("words",), _LINEAR, ROWS, 1, "sum")), TEXTS, wide_and_deep, "counted_words",
            ("resource",), ("ref",),
            values=_values(**{DEEP: (ROWS, DIM), _LINEAR: (ROWS, 1)})),
    Pattern("column_sequence", sequence, (Expected(("words",), SEQUENCE, combiner="mean"),), TEXTS,
            averaged, "counted_words", (), ("ref", "resource", "frozen"),
            values=_values(**{SEQUENCE: (ROWS, DIM)})),
]
