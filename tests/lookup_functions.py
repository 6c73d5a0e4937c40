"""Lookups as TensorFlow 2 writes them: nested functions, Keras layers, bodies of If and While.

Rows are as in lookup_patterns.py, but `build` is a callable(folder) that writes the SavedModel, and
the tables are kept in one way only, "function".
"""

import keras
import numpy as np
import tensorflow as tf

import builders
import lookup_patterns as patterns
from lookup_patterns import (DIM, FULL_TEXTS, IDS, LONGEST, RECORDS, ROWS, TABLE, TEXTS, WEIGHTED,
                             WORDS, Expected, Pattern, flat, score, vectors_of)
from lookup_truth import Example, Leaf, bag, head

HERE = ("function",)
IDS_SPEC = {"ids": builders.spec([None, LONGEST], tf.int64)}
WORDS_SPEC = {"words": builders.spec([None, LONGEST], tf.string)}
RECORDS_SPEC = {"examples": builders.spec([None], tf.string)}


def save(pattern, keeping, folder):
    """Writes the pattern's SavedModel."""
    del keeping
    pattern.build(folder)


def function(made, inputs, *names):
    """A model of `made(words, *tables, **inputs)`: a vocabulary, and variables of those names."""
    def build(folder):
        module = tf.Module()
        module.words = patterns.vocabulary()
        module.tables = [tf.Variable(vectors_of(name), name=name) for name in names]

        @tf.function
        def serve(**given):
            return {"score": score(made(module.words, *module.tables, **given))}

        signature = serve.get_concrete_function(**{
            name: tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in inputs.items()})
        tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    return build


def known(vocabulary, sparse):
    return patterns.with_values(sparse, vocabulary.lookup(sparse.values))


# Functions ---------------------------------------------------------------------------------------


def nested(_, table, ids):
    """A lookup two calls deep."""
    @tf.function
    def inner(table, ids):
        return tf.nn.embedding_lookup(table, ids)

    @tf.function
    def outer(table, ids):
        return tf.reshape(inner(table, ids), [-1, LONGEST * DIM])

    return outer(table, ids)


def two_calls(_, table, query, document):
    """One function that looks up, called twice."""
    @tf.function(input_signature=[tf.TensorSpec([None, LONGEST], tf.int64)])
    def encode(ids):
        return flat(tf.nn.embedding_lookup(table, ids))

    return tf.concat([encode(query), encode(document)], 1)


def bags(combiner, default=None):
    def made(vocabulary, table, words):
        ids = known(vocabulary, tf.sparse.from_dense(words))
        return tf.reshape(tf.nn.safe_embedding_lookup_sparse(
            table, ids, combiner=combiner, default_id=default), [-1, DIM])
    return made


def hashed_bags(_, table, words):
    return tf.reshape(tf.nn.embedding_lookup_sparse(
        table, patterns.buckets(tf.sparse.from_dense(words)), None, combiner="mean"), [-1, DIM])


def weighted_bags(vocabulary, table, examples):
    parsed = tf.io.parse_example(examples, {"words": tf.io.VarLenFeature(tf.string),
                                            "weights": tf.io.VarLenFeature(tf.float32)})
    return tf.reshape(tf.nn.safe_embedding_lookup_sparse(
        table, known(vocabulary, parsed["words"]), parsed["weights"], combiner="mean"), [-1, DIM])


def transformed(vocabulary, table, examples):
    """As tf.Transform leaves it: a function of its own parses nothing, and maps words to ids."""
    @tf.function
    def transform(words):
        lowered = tf.strings.strip(tf.strings.lower(words.values))
        return {"words": patterns.with_values(words, vocabulary.lookup(lowered))}

    parsed = tf.io.parse_example(examples, {"words": tf.io.VarLenFeature(tf.string)})
    return tf.reshape(tf.nn.safe_embedding_lookup_sparse(
        table, transform(parsed["words"])["words"], combiner="sum"), [-1, DIM])


def ragged(_, table, text):
    """Text split into ragged rows; the mean of no rows is replaced by zeros."""
    words = tf.strings.split(text)
    ids = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, ROWS)
    found = tf.reduce_mean(tf.nn.embedding_lookup(table, ids), 1)
    return tf.reshape(tf.where(tf.math.is_nan(found), tf.zeros_like(found), found), [-1, DIM])


def by_hashed_words(row):
    words = row["text"].split()
    return Example(bag(words, [vectors_of()[one] for one in patterns.hashed(words)], "mean"),
                   np.zeros(DIM))


def in_a_branch(_, table, others, ids):
    return flat(tf.cond(tf.less(tf.shape(ids)[0], 1000), lambda: tf.gather(table, ids),
                        lambda: tf.gather(others, ids)))


def in_a_while(_, table, ids):
    def turn(time, state):
        return time + 1, 0.5 * state + tf.gather(table, ids[:, time])

    start = tf.zeros(tf.stack([tf.shape(ids)[0], DIM]))
    _, state = tf.while_loop(lambda time, _: tf.less(time, LONGEST), turn, [tf.constant(0), start],
                             shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, DIM])])
    return state


# Keras -------------------------------------------------------------------------------------------


def keras_model(made, *inputs):
    """A Keras model; `made(inputs)` gives h. Embedding layers get the numbers of their names."""
    def build(folder):
        given = [keras.Input(**one) for one in inputs]
        h = made(*given)
        first, bias, last = head(h.shape[-1])
        units = keras.layers.Dense(len(bias), "tanh", name="units")
        output = keras.layers.Dense(1, use_bias=False, name="score")
        model = keras.Model(given, output(units(h)))
        units.set_weights([first, bias])
        output.set_weights([last[:, None]])
        for layer in model.layers:
            if isinstance(layer, keras.layers.Embedding):
                layer.set_weights([vectors_of(layer.name, *layer.embeddings.shape)])
        model.export(str(folder), verbose=False)
    return build


def embedding(name="vectors", rows=ROWS, **options):
    return keras.layers.Embedding(rows, DIM, name=name, **options)


def flattened(vectors):
    return keras.layers.Reshape((LONGEST * DIM,))(vectors)


def keras_ids(ids):
    return flattened(embedding()(ids))


def keras_shared(query, document):
    layer = embedding()
    return keras.layers.Concatenate()([flattened(layer(query)), flattened(layer(document))])


def keras_masked_mean(ids):
    return keras.layers.GlobalAveragePooling1D()(embedding(mask_zero=True)(ids))


def keras_words(words):
    return flattened(embedding()(keras.layers.StringLookup(vocabulary=WORDS[:6])(words)))


def keras_text(text):
    layer = keras.layers.TextVectorization(vocabulary=WORDS[:5], output_sequence_length=LONGEST)
    return flattened(embedding()(layer(text)))


class Positions(keras.layers.Layer):
    """Adds the vector of each position."""

    def __init__(self):
        super().__init__()
        self.places = embedding("places", 5)

    def build(self, shape):
        self.places.build(())
        self.places.set_weights([vectors_of("deep/places", 5)])

    def call(self, vectors):
        return vectors + self.places(keras.ops.arange(vectors.shape[1]))


def keras_positions(ids):
    return flattened(Positions()(embedding()(ids)))


def by_keras(row, name="ids", place=0, start=0):
    table = vectors_of("vectors")
    return Example(tuple(Leaf(place, int(one), table[int(one)], 1.0, start + DIM * index)
                         for index, one in enumerate(row[name])), np.zeros(LONGEST * DIM))


def by_keras_shared(row):
    leaves = by_keras(row, "query").leaves + by_keras(row, "document", 1, LONGEST * DIM).leaves
    return Example(leaves, np.zeros(2 * LONGEST * DIM))


def by_keras_mean(row):
    kept = [one for one in row["ids"] if one]
    return Example(tuple(Leaf(0, one, vectors_of("vectors")[one], 1 / len(kept) if one else 0.0)
                         for one in row["ids"]), np.zeros(DIM))


def by_keras_words(row):
    """Id 0 is for unknown words, the vocabulary comes after it."""
    words = row["words"] + [""] * (LONGEST - len(row["words"]))
    ids = [WORDS.index(word) + 1 if word in WORDS[:6] else 0 for word in words]
    return Example(tuple(Leaf(0, word, vectors_of("vectors")[one], 1.0, DIM * index)
                         for index, (word, one) in enumerate(zip(words, ids))),
                   np.zeros(LONGEST * DIM))


def by_keras_text(row):
    """Id 0 is padding, 1 unknown words, then the vocabulary."""
    words = row["text"].lower().split()[:LONGEST]
    words += [""] * (LONGEST - len(words))
    ids = [0 if not word else WORDS.index(word) + 2 if word in WORDS[:5] else 1 for word in words]
    return Example(tuple(Leaf(0, word, vectors_of("vectors")[one], 1.0, DIM * index)
                         for index, (word, one) in enumerate(zip(words, ids))),
                   np.zeros(LONGEST * DIM))


def by_keras_positions(row):
    found = by_keras(row)
    return Example(found.leaves, vectors_of("deep/places", 5)[:LONGEST].reshape(-1))


# The table ---------------------------------------------------------------------------------------

_EMBEDDING = "vectors/embeddings"
_INPUT = {"name": "ids", "shape": (LONGEST,), "dtype": "int64"}
_FLOATS = {"name": "ids", "shape": (LONGEST,), "dtype": "float32"}
_WORDS = {"name": "words", "shape": (LONGEST,), "dtype": "string"}
_TEXT = {"name": "text", "shape": (), "dtype": "string"}
_QUERIES = tuple(dict(_INPUT, name=name) for name in ("query", "document"))
_FLOAT_ROWS = tuple({"ids": [float(one) for one in row["ids"]]} for row in IDS)


def _point(feature, table=_EMBEDDING, combiner=None):
    """Keras writes its variables twice; the graph may read the second, by a name with a number."""
    return Expected((feature,), table, combiner=combiner, also=(table + "_1",))


PATTERNS = [
    Pattern("nested_functions", function(nested, IDS_SPEC, TABLE), (_point("ids", TABLE),), IDS,
            patterns.in_a_row, "gather_of_positions", HERE),
    Pattern("function_called_twice",
            function(two_calls, {name: IDS_SPEC["ids"] for name in ("query", "document")}, TABLE),
            (_point("query", TABLE), _point("document", TABLE)), patterns.QUERIES,
            patterns.both_looked_up, "gather_of_positions", HERE),
    *[Pattern("function_safe_" + combiner, function(bags(combiner), WORDS_SPEC, TABLE),
              (_point("words", TABLE, combiner),), TEXTS, patterns.safe_bag(combiner),
              "counted_words", HERE) for combiner in patterns.COMBINERS],
    Pattern("function_safe_default", function(bags("mean", 3), WORDS_SPEC, TABLE),
            (_point("words", TABLE, "mean"),), TEXTS, patterns.safe_bag("mean", 3),
            "counted_words", HERE),
    Pattern("function_pooled", function(hashed_bags, WORDS_SPEC, TABLE),
            (_point("words", TABLE, "mean"),), FULL_TEXTS, patterns.hashed_bag("mean"),
            "counted_words", HERE),
    Pattern("function_weighted", function(weighted_bags, RECORDS_SPEC, TABLE),
            (_point("words", TABLE, "mean"),), WEIGHTED, patterns.weighted_bag("mean", True),
            "weights_alone", HERE),
    Pattern("function_transform", function(transformed, RECORDS_SPEC, TABLE),
            (_point("words", TABLE, "sum"),), RECORDS, patterns.safe_bag("sum"), "counted_words",
            HERE),
    Pattern("function_ragged",
            function(ragged, {"text": builders.spec([None], tf.string)}, TABLE),
            (_point("text", TABLE, "mean"),),
            tuple({"text": text} for text in ("a b", "", "c c unknown d", "b", "g a b c d e")),
            by_hashed_words, "counted_words", HERE),
    Pattern("function_condition", function(in_a_branch, IDS_SPEC, TABLE, "deep/others"),
            (_point("ids", TABLE),), IDS, patterns.in_a_row, "condition_on_numbers", HERE,
            may_refuse=True),
    Pattern("function_while", function(in_a_while, IDS_SPEC, TABLE), (_point("ids", TABLE),), IDS,
            patterns.halving, "loop_over_numbers", HERE, may_refuse=True),
    Pattern("keras_embedding", keras_model(keras_ids, _INPUT), (_point("ids"),), IDS, by_keras,
            "dense_layer", HERE),
    Pattern("keras_float_ids", keras_model(keras_ids, _FLOATS), (_point("ids"),), _FLOAT_ROWS,
            by_keras, "rounded_number", HERE),
    Pattern("keras_shared", keras_model(keras_shared, *_QUERIES),
            (_point("query"), _point("document")), patterns.QUERIES, by_keras_shared, "dense_layer",
            HERE),
    Pattern("keras_masked_mean", keras_model(keras_masked_mean, _INPUT), (_point("ids"),),
            IDS[:2] + IDS[3:], by_keras_mean, "masked_numbers", HERE),
    Pattern("keras_string_lookup", keras_model(keras_words, _WORDS), (_point("words"),), TEXTS,
            by_keras_words, "counted_words", HERE),
    Pattern("keras_text", keras_model(keras_text, _TEXT), (_point("text"),),
            tuple({"text": text} for text in ("a b", "", "C c unknown d", "b", "g a b c d e")),
            by_keras_text, "counted_words", HERE),
    Pattern("beside_keras_positions", keras_model(keras_positions, _INPUT), (_point("ids"),), IDS,
            by_keras_positions, "gather_of_positions", HERE, said=("places", "position")),
]
