"""A table of embedding lookups, as TensorFlow 1 graphs write them: one small model per row.

A row (`Pattern`) says how its model is made, which points must be found in it, what to ask it, and
by `truth` what each example's answer must be (see lookup_truth.py). `KEEPINGS` are the ways in
which a table of vectors is kept; a row lists those that it is tried with, and under `old` those
with which old/write_lookups.py wrote it by TensorFlow 1.15.5 into fixtures/lookups_1_15. Rows of
functions and Keras are in lookup_functions.py; graphs that look like lookups and are none in
lookup_twins.py.

The file runs under Python 3.7 with TensorFlow 1.15 too, so that one text serves both.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from lookup_truth import Example, Leaf, bag, head, numbers

v1 = tf.compat.v1
KEEPINGS = {
    "ref": "a ref variable; newer TensorFlow looks up and pools it in one op",
    "placed": "a ref variable with a device: it is looked up through Unique, as 1.x did",
    "resource": "a resource variable",
    "frozen": "a constant, as freezing a graph leaves it",
    "mod": "two partitions, id by id in turn",
    "div": "two partitions, one after the other",
    "resource_mod": "the same of resource variables",
}
ALL = tuple(KEEPINGS)
WHOLE = ("ref", "placed", "resource", "frozen")
BOTH = ("ref", "resource")
COMBINERS = ("sum", "mean", "sqrtn")
WORDS = list("abcdefg")
ROWS, DIM, LONGEST = 7, 3, 4
TABLE = "deep/words"


@dataclasses.dataclass(frozen=True)
class Expected:
    """A point that must be found.

    Attributes:
      features: raw features that it comes from.
      table: name of the variable, or None where there is none.
      vocabulary, dimension: rows and columns of the table.
      combiner: how the ids of an example are pooled, or None.
      kinds: any of these.
      also: other names that the table may be called by.
    """

    features: tuple
    table: object = TABLE
    vocabulary: object = ROWS
    dimension: object = DIM
    combiner: object = None
    kinds: tuple = ("tokens",)
    also: tuple = ()

    def reads(self, table):
        """Whether a point's table is the expected one; branches may read several."""
        names = [None] if table is None else table.split(", ")
        return any(name == self.table or name in self.also for name in names)


@dataclasses.dataclass(frozen=True)
class Pattern:
    """One row of the table.

    Attributes:
      name: unique.
      build: callable(Keep) -> ({input name: placeholder}, h [batch, width]).
      points: tuple of `Expected`.
      rows: what is asked, a dict per example.
      truth: callable(row) -> `Example`, or a tuple of such of which any is right.
      twin: name of the row of lookup_twins.py that looks like it and is not.
      keepings, old: see above.
      values: {variable name: array} of variables that the model makes by itself.
      dtype: of the tables.
      steps: nodes of the rule; few will do for a smooth network.
      unordered: tokens may come in any order.
      may_refuse: whether a refusal that names the table is right too, or a report of the table with
        the features' totals alone.
      alone: whether an empty example can be asked alone.
      said: words that must stand in what is held constant or was passed over.
    """

    name: str
    build: object
    points: tuple
    rows: tuple
    truth: object
    twin: str
    keepings: tuple = ("resource",)
    old: tuple = ()
    values: object = None
    dtype: str = "float32"
    steps: int = 16
    unordered: bool = False
    may_refuse: bool = False
    alone: bool = True
    said: tuple = ()


# How a table is kept, and how a model is saved --------------------------------------------------


class Keep:
    """Makes the tables of one model, kept in one of the KEEPINGS."""

    def __init__(self, keeping, dtype="float32"):
        self.keeping = keeping
        self.dtype = tf.as_dtype(dtype)
        self.partitioned = keeping in ("mod", "div", "resource_mod")
        self.strategy = "div" if keeping == "div" else "mod"
        self.resource = keeping.startswith("resource")

    def __call__(self, name, values):
        """The table as `tf.nn.embedding_lookup` takes it."""
        if self.partitioned:
            return self._parts(name, values)
        with tf.device("/cpu:0" if self.keeping == "placed" else None):
            return v1.get_variable(name, initializer=tf.constant(values, self.dtype),
                                   use_resource=self.resource)

    def _parts(self, name, values):
        order = np.arange(len(values))
        if self.strategy == "mod":
            order = np.concatenate([order[0::2], order[1::2]])
        stored = np.asarray(values, np.float32)[order]

        def initial(shape, dtype, partition_info):
            begin = partition_info.var_offset[0]
            return tf.constant(stored[begin:begin + int(shape[0])], dtype)

        return v1.get_variable(name, stored.shape, self.dtype, initial, use_resource=self.resource,
                               partitioner=v1.fixed_size_partitioner(2))


def score(h):
    """The network that all models end in."""
    first, bias, last = head(int(h.shape[-1]))
    units = tf.tanh(tf.matmul(h, tf.constant(first)) + tf.constant(bias))
    return tf.reduce_sum(units * tf.constant(last), 1, name="score")


def save(pattern, keeping, folder):
    """Writes the pattern's SavedModel with TensorFlow 1's ways, in whatever TensorFlow runs."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        inputs, h = pattern.build(Keep(keeping, pattern.dtype))
        output = score(tf.cast(h, tf.float32))
        session.run(v1.global_variables_initializer())
        _give_values(v1.global_variables(), pattern.values or {}, session)
        tables = v1.tables_initializer(name="init_tables")
        if keeping != "frozen":
            _write(session, folder, inputs, output, tables)
            return
        names = {name: tensor.op.name for name, tensor in inputs.items()}
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [*names.values(), output.op.name, tables.name])
    _save_frozen(frozen, names, folder)


def _give_values(variables, values, session):
    """Sets variables, or the parts that they are kept in, to what the table says."""
    for name, value in values.items():
        parts = [one for one in variables
                 if one.op.name == name or one.op.name.startswith(name + "/part_")]
        assert parts, (name, [one.op.name for one in variables])
        begin = 0
        for part in sorted(parts, key=lambda one: one.op.name):
            part.load(value[begin:begin + int(part.shape[0])], session)
            begin += int(part.shape[0])


def _save_frozen(graph_def, names, folder):
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        tf.import_graph_def(graph_def, name="")
        inputs = {name: graph.get_tensor_by_name(op + ":0") for name, op in names.items()}
        _write(session, folder, inputs, graph.get_tensor_by_name("score:0"),
               graph.get_operation_by_name("init_tables"))


def _write(session, folder, inputs, output, tables):
    signature = v1.saved_model.predict_signature_def(inputs, {"score": output})
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(
        session, ["serve"], {"serving_default": signature}, main_op=tables,
        strip_default_attrs=True)
    builder.save()


# What is asked -----------------------------------------------------------------------------------


def feed(pattern, rows=None):
    """{input name: array} for rows of a pattern; lists of strings are padded with ""."""
    rows = pattern.rows if rows is None else rows
    found = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if any(isinstance(value, Record) for value in values):
            values = [value.serialized() for value in values]
        elif isinstance(values[0], list) and all(isinstance(v, str) for one in values for v in one):
            values = [value + [""] * (LONGEST - len(value)) for value in values]
        texts = isinstance(np.ravel(values)[0], (bytes, str))
        found[name] = np.array(values, object if texts else None)
    return found


class Record(dict):
    """A tf.Example by its features."""

    def serialized(self):
        record = tf.train.Example()
        for name, values in self.items():
            if not values:
                continue
            feature = record.features.feature[name]
            if all(isinstance(value, str) for value in values):
                feature.bytes_list.value.extend(value.encode() for value in values)
            elif all(isinstance(value, int) for value in values):
                feature.int64_list.value.extend(values)
            else:
                feature.float_list.value.extend(values)
        return record.SerializeToString()


# An example shares words with others, repeats some, has none, has unknown ones.
TEXTS = tuple({"words": text} for text in (
    ["a", "b"], ["b"], [], ["c", "c", "d"], ["nothing"], ["e", "unknown", "a", "b"], ["d"]))
FULL_TEXTS = tuple(row for row in TEXTS if row["words"])
RECORDS = tuple({"examples": Record(row)} for row in TEXTS)
FULL_RECORDS = tuple({"examples": Record(row)} for row in FULL_TEXTS)
WEIGHTED = tuple({"examples": Record(words=words, weights=weights)} for words, weights in (
    (["a", "b"], [0.5, 2.0]), (["b"], [3.0]), ([], []), (["c", "c", "d"], [1.0, 0.25, 1.5]),
    (["nothing"], [1.5]), (["e", "unknown", "a", "b"], [0.5, 2.0, 1.0, 0.25]), (["d"], [0.75])))
FULL_WEIGHTED = tuple(row for row in WEIGHTED if row["examples"]["words"])
# Some weights count for nothing: `safe` drops them, but for sums.
SOME_WEIGHTLESS = WEIGHTED[:3] + tuple({"examples": Record(words=words, weights=weights)}
                                       for words, weights in (
    (["c", "c", "d"], [1.0, 0.0, 1.5]), (["a", "g"], [-1.0, 2.0]), (["d"], [0.75])))
IDS = tuple({"ids": ids} for ids in (
    [1, 2, 3, 0], [3, 3, 1, 0], [0, 0, 0, 0], [6, 5, 4, 2], [2, 6, 2, 5]))
CATEGORIES = tuple({"category": one} for one in ("a", "b", "a", "g", "unknown", ""))


def words_of(row):
    """The words of a row, wherever they stand in it."""
    return (row["examples"] if "examples" in row else row)["words"]


def hashed(words, buckets=ROWS):
    """Buckets of words, by the op that the models use."""
    return tf.strings.to_hash_bucket_fast(tf.constant(words, tf.string), buckets).numpy()


def clipped(vector, norm):
    """A vector no longer than `norm`, and where on the path it gets so long."""
    until = min(1.0, norm / np.linalg.norm(vector))
    return vector * until, until


# Parts of models ---------------------------------------------------------------------------------


def ids_input(name="ids"):
    return v1.placeholder(tf.int64, [None, LONGEST], name=name)


def words_input(name="words"):
    return v1.placeholder(tf.string, [None, LONGEST], name=name)


def sparse_words(words):
    """The words that are not "", as feature columns find them."""
    where = tf.where(tf.not_equal(words, ""))
    return tf.SparseTensor(where, tf.gather_nd(words, where), tf.shape(words, out_type=tf.int64))


def records_input(**features):
    """A batch of serialized tf.Examples, and what is parsed out of it."""
    serialized = v1.placeholder(tf.string, [None], name="examples")
    return {"examples": serialized}, v1.io.parse_example(serialized, features)


def with_values(sparse, values):
    return tf.SparseTensor(sparse.indices, values, sparse.dense_shape)


def vocabulary(default=-1):
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
        tf.constant(WORDS), tf.range(len(WORDS), dtype=tf.int64)), default)


def known(sparse):
    """Ids of sparse words in a vocabulary; -1 for unknown ones."""
    return with_values(sparse, vocabulary().lookup(sparse.values))


def buckets(sparse):
    return with_values(sparse, tf.strings.to_hash_bucket_fast(sparse.values, ROWS))


def vectors_of(name=TABLE, rows=ROWS, width=DIM):
    return numbers(name, rows, width).astype(np.float32)


def flat(vectors):
    return tf.reshape(vectors, [-1, LONGEST * DIM])


def known_vectors(words, table=None):
    """Vectors of words, None where the vocabulary has not got them."""
    table = vectors_of() if table is None else table
    return [table[WORDS.index(word)] if word in WORDS else None for word in words]


# Ids in a matrix ---------------------------------------------------------------------------------


def in_a_row(row, table=None, share=1.0, name="ids", place=0, constant=0.0):
    """One vector after the other, for ids or the tokens that they stand for."""
    table = vectors_of() if table is None else table
    leaves = tuple(Leaf(place, one, share * table[one], 1.0, DIM * index)
                   for index, one in enumerate(row[name]))
    return Example(leaves, np.zeros(LONGEST * DIM) + constant)


def lookup(keep):
    ids = ids_input()
    found = v1.nn.embedding_lookup(keep(TABLE, vectors_of()), ids, keep.strategy)
    return {"ids": ids}, flat(found)


def in_type(dtype, close):
    """The truth for tables of a narrower or wider type: numbers are rounded when they are kept."""
    def truth(row):
        table = tf.cast(tf.cast(vectors_of(), dtype), tf.float64).numpy()
        return dataclasses.replace(in_a_row(row, table), close=close)
    return truth


NORM = 1.2


def lookup_max_norm(keep):
    ids = ids_input()
    found = v1.nn.embedding_lookup(keep(TABLE, vectors_of()), ids, keep.strategy, max_norm=NORM)
    return {"ids": ids}, flat(found)


def either_side_of_the_clip(leaves_of):
    """A clip to a length may stand before the place of attribution or behind it.

    Behind it the derivative jumps on the path: the rule is off by up to half the weight of a node
    (0.3 % with 256 nodes) for each of the four leaves.
    """
    def truth(row):
        example = leaves_of(row)
        before = tuple(dataclasses.replace(leaf, vector=clipped(leaf.vector, NORM)[0])
                       for leaf in example.leaves)
        behind = tuple(dataclasses.replace(leaf, until=clipped(leaf.vector, NORM)[1])
                       for leaf in example.leaves)
        return (dataclasses.replace(example, leaves=before),
                dataclasses.replace(example, leaves=behind, close=2e-2))
    return truth


def lookup_flattened(keep):
    """As BERT writes it: all ids of the batch in one line."""
    ids = ids_input()
    found = tf.gather(keep(TABLE, vectors_of()), tf.reshape(ids, [-1]))
    return {"ids": ids}, flat(tf.reshape(found, [tf.shape(ids)[0], LONGEST, DIM]))


def lookup_unique(keep):
    """embedding_lookup_unique of tf.contrib: each distinct id of the batch once."""
    ids = ids_input()
    distinct, places = tf.unique(tf.reshape(ids, [-1]))
    found = tf.gather(v1.nn.embedding_lookup(keep(TABLE, vectors_of()), distinct), places)
    return {"ids": ids}, flat(tf.reshape(found, tf.concat([tf.shape(ids), [DIM]], 0)))


def lookup_gather_nd(keep):
    ids = ids_input()
    return {"ids": ids}, flat(tf.gather_nd(keep(TABLE, vectors_of()), ids[..., None]))


def lookup_zero_padded(keep):
    """Row 0 is replaced by zeros, the vectors are scaled: as transformers of TensorFlow 1 do."""
    ids = ids_input()
    table = tf.convert_to_tensor(keep(TABLE, vectors_of()))
    padded = tf.concat([tf.zeros([1, DIM]), table[1:]], 0)
    return {"ids": ids}, flat(tf.nn.embedding_lookup(padded, ids) * DIM ** 0.5)


def zero_padded(row):
    table = vectors_of()
    table[0] = 0
    return in_a_row(row, table, DIM ** 0.5)


def lookup_float_ids(keep):
    ids = v1.placeholder(tf.float32, [None, LONGEST], name="ids")
    return {"ids": ids}, flat(tf.gather(keep(TABLE, vectors_of()), tf.cast(ids, tf.int32)))


def lookup_remapped(keep):
    """Ids are renumbered by a gather on integers first: that is no embedding."""
    ids = ids_input()
    order = tf.constant(np.arange(ROWS)[::-1].astype(np.int64))
    return {"ids": ids}, flat(tf.gather(keep(TABLE, vectors_of()), tf.gather(order, ids)))


def masked_mean(keep):
    """A mean over the ids that are not 0; the mask and the count are held."""
    ids = ids_input()
    mask = tf.cast(tf.not_equal(ids, 0), tf.float32)[:, :, None]
    found = tf.gather(keep(TABLE, vectors_of()), ids)
    return {"ids": ids}, tf.reduce_sum(found * mask, 1) / (tf.reduce_sum(mask, 1) + 1)


def masked(row):
    ids = np.array(row["ids"])
    share = (ids != 0) / ((ids != 0).sum() + 1.0)
    return Example(tuple(Leaf(0, one, vectors_of()[one], part) for one, part in zip(ids, share)),
                   np.zeros(DIM))


def vocabulary_with_buckets(keep):
    """Unknown words go to buckets of their own."""
    words = words_input()
    table = tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(
        tf.constant(WORDS[:5]), tf.range(5, dtype=tf.int64)), 2)
    return {"words": words}, flat(tf.gather(keep(TABLE, vectors_of()), table.lookup(words)))


def by_vocabulary_with_buckets(row):
    padded = row["words"] + [""] * (LONGEST - len(row["words"]))
    ids = [WORDS.index(word) if word in WORDS[:5] else 5 + hashed([word], 2)[0] for word in padded]
    table = vectors_of()
    return Example(tuple(Leaf(0, word, table[one], 1.0, DIM * index)
                         for index, (word, one) in enumerate(zip(padded, ids))),
                   np.zeros(LONGEST * DIM))


def hashed_numbers(keep):
    """Integers hashed by their decimal text: what was sent are the integers."""
    ids = ids_input()
    found = tf.gather(keep(TABLE, vectors_of()),
                      tf.strings.to_hash_bucket_fast(tf.strings.as_string(ids), ROWS))
    return {"ids": ids}, flat(found)


def by_hashed_numbers(row):
    table = vectors_of()
    return Example(tuple(Leaf(0, one, table[hashed([str(one)])[0]], 1.0, DIM * index)
                         for index, one in enumerate(row["ids"])), np.zeros(LONGEST * DIM))


# One id per example ------------------------------------------------------------------------------


def category(keep):
    words = v1.placeholder(tf.string, [None], name="category")
    ids = tf.strings.to_hash_bucket_fast(words, ROWS)
    return {"category": words}, v1.nn.embedding_lookup(keep(TABLE, vectors_of()), ids,
                                                       keep.strategy)


def one_category(row):
    vector = vectors_of()[hashed([row["category"]])[0]]
    return Example((Leaf(0, row["category"], vector),), np.zeros(DIM))


def joined(keep):
    """Two features crossed by their joined text."""
    first, second = (v1.placeholder(tf.string, [None], name=name) for name in ("a", "b"))
    ids = tf.strings.to_hash_bucket_fast(tf.strings.join([first, second], "_"), ROWS)
    return {"a": first, "b": second}, tf.gather(keep(TABLE, vectors_of()), ids)


def by_joined(row):
    text = row["a"] + "_" + row["b"]
    return Example((Leaf(0, text, vectors_of()[hashed([text])[0]]),), np.zeros(DIM))


# Bags --------------------------------------------------------------------------------------------


def pooled(combiner, lookup_=None, **options):
    """embedding_lookup_sparse of hashed words."""
    def build(keep):
        words = words_input()
        ids = buckets(sparse_words(words))
        found = (lookup_ or v1.nn.embedding_lookup_sparse)(
            keep(TABLE, vectors_of()), ids, None, keep.strategy, combiner=combiner, **options)
        return {"words": words}, tf.reshape(found, [-1, DIM])
    return build


def hashed_bag(combiner):
    def truth(row):
        words = words_of(row)
        vectors = [vectors_of()[one] for one in hashed(words)]
        return Example(bag(words, vectors, combiner), np.zeros(DIM))
    return truth


def weighted(combiner, safe):
    """Words and their weights, parsed from tf.Examples; `safe` knows a vocabulary only."""
    def build(keep):
        inputs, parsed = records_input(words=tf.io.VarLenFeature(tf.string),
                                       weights=tf.io.VarLenFeature(tf.float32))
        table = keep(TABLE, vectors_of())
        if safe:
            found = v1.nn.safe_embedding_lookup_sparse(
                table, known(parsed["words"]), parsed["weights"], combiner,
                partition_strategy=keep.strategy)
        else:
            found = v1.nn.embedding_lookup_sparse(
                table, buckets(parsed["words"]), parsed["weights"], keep.strategy,
                combiner=combiner)
        return inputs, tf.reshape(found, [-1, DIM])
    return build


def weighted_bag(combiner, safe):
    def truth(row):
        words, weights = row["examples"]["words"], np.array(row["examples"]["weights"])
        if not safe:
            vectors = [vectors_of()[one] for one in hashed(words)]
        else:
            vectors = [vector if combiner == "sum" or weight > 0 else None
                       for vector, weight in zip(known_vectors(words), weights)]
        return Example(bag(words, vectors, combiner, weights=weights), np.zeros(DIM))
    return truth


def safe(combiner, default=None, backwards=False, parsed=False, **options):
    """safe_embedding_lookup_sparse of words in a vocabulary."""
    def build(keep):
        if parsed:
            inputs, features = records_input(words=tf.io.VarLenFeature(tf.string))
            sparse = features["words"]
        else:
            words = words_input()
            inputs, sparse = {"words": words}, sparse_words(words)
        if backwards:
            sparse = tf.SparseTensor(tf.reverse(sparse.indices, [0]),
                                     tf.reverse(sparse.values, [0]), sparse.dense_shape)
        found = v1.nn.safe_embedding_lookup_sparse(
            keep(TABLE, vectors_of()), known(sparse), None, combiner, default_id=default,
            partition_strategy=keep.strategy, **options)
        return inputs, tf.reshape(found, [-1, DIM])
    return build


def safe_bag(combiner, default=None):
    def truth(row):
        words = words_of(row)
        vectors = known_vectors(words)
        leaves = bag(words, vectors, combiner)
        if default is not None and all(vector is None for vector in vectors):
            leaves += (Leaf(0, "", vectors_of()[default]),)  # sums over tokens stay complete
        return Example(leaves, np.zeros(DIM))
    return truth


# Bags that are pooled by hand --------------------------------------------------------------------


def examples_of(sparse):
    """The example of each value, and how many examples there are."""
    return sparse.indices[:, 0], sparse.dense_shape[0]


def by_segment_sum(vectors, rows, count):
    """EmbeddingBag: the last example must have a word, or it would be missing."""
    del count
    return tf.math.segment_sum(vectors, rows)


def by_segment_mean(vectors, rows, count):
    del count
    return tf.math.segment_mean(vectors, rows)


def by_unsorted_sum(vectors, rows, count):
    return tf.math.unsorted_segment_sum(vectors, rows, count)


def by_unsorted_mean(vectors, rows, count):
    return tf.math.unsorted_segment_mean(vectors, rows, count)


def by_sum_and_count(vectors, rows, count):
    sums = tf.math.unsorted_segment_sum(vectors, rows, count)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(rows, tf.float32), rows, count)
    return sums / tf.maximum(sizes, 1.0)[:, None]


def by_ragged_mean(vectors, rows, count):
    """The mean of no rows is 0 / 0: it is replaced by zeros."""
    ragged = tf.RaggedTensor.from_value_rowids(vectors, rows, count)
    found = tf.reduce_mean(ragged, 1)
    return tf.where(tf.math.is_nan(found), tf.zeros_like(found), found)


def by_scatter(vectors, rows, count):
    return tf.scatter_nd(rows[:, None], vectors, tf.stack([count, tf.constant(DIM, tf.int64)]))


BAGS = {"segment_sum": (by_segment_sum, "sum"), "segment_mean": (by_segment_mean, "mean"),
        "unsorted_segment_sum": (by_unsorted_sum, "sum"),
        "unsorted_segment_mean": (by_unsorted_mean, "mean"),
        "sum_by_count": (by_sum_and_count, "mean"), "ragged_mean": (by_ragged_mean, "mean"),
        "scatter": (by_scatter, "sum")}


def embedding_bag(pool):
    def build(keep):
        inputs, parsed = records_input(words=tf.io.VarLenFeature(tf.string))
        ids = tf.strings.to_hash_bucket_fast(parsed["words"].values, ROWS)
        vectors = tf.nn.embedding_lookup(keep(TABLE, vectors_of()), ids)
        return inputs, tf.reshape(pool(vectors, *examples_of(parsed["words"])), [-1, DIM])
    return build


def split_text(keep):
    """A sentence split in the graph: tokens are its words."""
    text = v1.placeholder(tf.string, [None], name="text")
    ids = known(v1.string_split(text))
    return {"text": text}, v1.nn.safe_embedding_lookup_sparse(
        keep(TABLE, vectors_of()), ids, combiner="mean", partition_strategy=keep.strategy)


def by_words(row):
    words = row["text"].split()
    return Example(bag(words, known_vectors(words), "mean"), np.zeros(DIM))


# One-hots times a matrix -------------------------------------------------------------------------


def one_hot_category(keep):
    category_ = v1.placeholder(tf.int64, [None], name="category")
    return {"category": category_}, tf.matmul(tf.one_hot(category_, ROWS),
                                              keep(TABLE, vectors_of()))


def number_category(row):
    return Example((Leaf(0, row["category"], vectors_of()[row["category"]]),), np.zeros(DIM))


def one_hot_rows(keep):
    ids = ids_input()
    return {"ids": ids}, flat(tf.tensordot(tf.one_hot(ids, ROWS), keep(TABLE, vectors_of()), 1))


def one_hot_batch(keep):
    ids = ids_input()
    table = tf.tile(tf.convert_to_tensor(keep(TABLE, vectors_of()))[None],
                    tf.stack([tf.shape(ids)[0], 1, 1]))
    return {"ids": ids}, flat(tf.matmul(tf.one_hot(ids, ROWS), table))


def one_hot_flattened(keep):
    """As BERT writes it for accelerators."""
    ids = ids_input()
    found = tf.matmul(tf.one_hot(tf.reshape(ids, [-1]), ROWS), keep(TABLE, vectors_of()))
    return {"ids": ids}, flat(tf.reshape(found, [tf.shape(ids)[0], LONGEST, DIM]))


def multi_hot(keep):
    ids = ids_input()
    return {"ids": ids}, tf.matmul(tf.reduce_sum(tf.one_hot(ids, ROWS), 1),
                                   keep(TABLE, vectors_of()))


def summed_ids(row):
    return Example(bag(row["ids"], [vectors_of()[one] for one in row["ids"]], "sum"), np.zeros(DIM))


def sparse_one_hot(keep):
    """SparseTensorDenseMatMul: one row per example, one column per word of the vocabulary."""
    inputs, parsed = records_input(words=tf.io.VarLenFeature(tf.string))
    sparse = parsed["words"]
    ids = tf.strings.to_hash_bucket_fast(sparse.values, ROWS)
    where = tf.stack([sparse.indices[:, 0], ids], 1)
    counts = tf.SparseTensor(where, tf.ones_like(ids, tf.float32),
                             tf.stack([sparse.dense_shape[0], tf.constant(ROWS, tf.int64)]))
    return inputs, tf.reshape(tf.sparse.sparse_dense_matmul(
        counts, tf.convert_to_tensor(keep(TABLE, vectors_of()))), [-1, DIM])


# Tables and features that are used several times -------------------------------------------------

QUERIES = tuple({"query": query, "document": document} for query, document in (
    ([1, 2, 3, 0], [1, 1, 0, 0]), ([3, 3, 1, 0], [1, 2, 3, 0]), ([0, 0, 0, 0], [6, 5, 4, 2])))


def shared_table(keep):
    query, document = ids_input("query"), ids_input("document")
    table = keep(TABLE, vectors_of())
    found = [flat(v1.nn.embedding_lookup(table, ids, keep.strategy)) for ids in (query, document)]
    return {"query": query, "document": document}, tf.concat(found, 1)


def both_looked_up(row):
    table, leaves = vectors_of(), []
    for place, name in enumerate(("query", "document")):
        leaves += [Leaf(place, one, table[one], 1.0, DIM * (LONGEST * place + index))
                   for index, one in enumerate(row[name])]
    return Example(tuple(leaves), np.zeros(2 * LONGEST * DIM))


def two_encoders(keep):
    """One feature in a wide and a deep part: its total is the sum over both."""
    words = words_input()
    ids = known(sparse_words(words))
    deep = v1.nn.safe_embedding_lookup_sparse(keep(TABLE, vectors_of()), ids, combiner="mean",
                                              partition_strategy=keep.strategy)
    wide = v1.nn.safe_embedding_lookup_sparse(keep("wide/words", vectors_of("wide/words", ROWS, 1)),
                                              ids, combiner="sum",
                                              partition_strategy=keep.strategy)
    return {"words": words}, tf.concat([tf.reshape(deep, [-1, DIM]), tf.reshape(wide, [-1, 1])], 1)


def deep_and_wide(row):
    words = row["words"]
    wide = known_vectors(words, vectors_of("wide/words", ROWS, 1))
    return Example(bag(words, known_vectors(words), "mean")
                   + bag(words, wide, "sum", 1, DIM), np.zeros(DIM + 1))


# Positions and segments --------------------------------------------------------------------------


def beside_positions(places):
    """Word vectors plus vectors of positions, which no content of the input reaches."""
    def build(keep):
        ids = ids_input()
        found = v1.nn.embedding_lookup(keep(TABLE, vectors_of()), ids, keep.strategy)
        return {"ids": ids}, flat(found + places(ids, v1.get_variable(
            "deep/places", initializer=vectors_of("deep/places", 5), use_resource=True)))
    return build


def positions_by_range(ids, table):
    return tf.gather(table, tf.range(tf.shape(ids)[1]))


def positions_tiled(ids, table):
    places = tf.tile(tf.range(tf.shape(ids)[1])[None], [tf.shape(ids)[0], 1])
    return tf.nn.embedding_lookup(table, places)


def positions_by_slice(ids, table):
    return tf.slice(tf.convert_to_tensor(table), [0, 0], tf.stack([tf.shape(ids)[1], -1]))[None]


def positions_of_the_present(ids, table):
    """Counted over the ids that are no padding: from where ids are, not from what they are."""
    present = tf.cast(tf.not_equal(ids, 0), tf.int32)
    return tf.gather(table, tf.cumsum(present, 1) * present)


def segment_of_zeros(ids, table):
    return tf.gather(table, tf.zeros_like(ids))


POSITIONS = {
    "range": (positions_by_range, lambda ids: np.arange(LONGEST)),
    "tiled": (positions_tiled, lambda ids: np.arange(LONGEST)),
    "slice": (positions_by_slice, lambda ids: np.arange(LONGEST)),
    "of_the_present": (positions_of_the_present,
                       lambda ids: np.cumsum(np.array(ids) != 0) * (np.array(ids) != 0)),
    "segment_of_zeros": (segment_of_zeros, lambda ids: np.zeros(LONGEST, int)),
}


def with_positions(places):
    def truth(row):
        constant = vectors_of("deep/places", 5)[places(row["ids"])].reshape(-1)
        return in_a_row(row, constant=constant)
    return truth


def segments_sent(keep):
    """Segments that the caller sends are a feature of their own."""
    ids, segments = ids_input(), ids_input("segments")
    found = [v1.nn.embedding_lookup(keep(name, vectors_of(name)), given, keep.strategy)
             for name, given in ((TABLE, ids), ("deep/segments", segments))]
    return {"ids": ids, "segments": segments}, flat(tf.add_n(found))


def both_added(row):
    segments = in_a_row(row, vectors_of("deep/segments"), name="segments", place=1)
    return Example(in_a_row(row).leaves + segments.leaves, segments.constant)


# Bodies of conditions and loops ------------------------------------------------------------------


def in_a_condition(keep):
    """Which table is looked up is known only when the model runs."""
    ids = ids_input()
    first, second = keep(TABLE, vectors_of()), keep("deep/others", vectors_of("deep/others"))
    found = tf.cond(tf.less(tf.shape(ids)[0], 1000), lambda: tf.gather(first, ids),
                    lambda: tf.gather(second, ids))
    return {"ids": ids}, flat(found)


def in_a_loop(keep):
    """A recurrence that looks up one id per turn: s = s / 2 + vector."""
    ids = ids_input()
    table = keep(TABLE, vectors_of())

    def turn(time, state):
        return time + 1, 0.5 * state + tf.gather(table, ids[:, time])

    start = tf.zeros(tf.stack([tf.shape(ids)[0], DIM]))
    _, state = tf.while_loop(lambda time, _: tf.less(time, LONGEST), turn, [tf.constant(0), start],
                             shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, DIM])])
    return {"ids": ids}, tf.reshape(state, [-1, DIM])


def halving(row):
    return Example(tuple(Leaf(0, one, vectors_of()[one], 0.5 ** (LONGEST - 1 - time))
                         for time, one in enumerate(row["ids"])), np.zeros(DIM))


# The table ---------------------------------------------------------------------------------------

_IDS, _WORDS = (Expected(("ids",)),), Expected(("words",))


def _pooled(combiner):
    return (dataclasses.replace(_WORDS, combiner=combiner),)


PATTERNS = [
    Pattern("lookup", lookup, _IDS, IDS, in_a_row, "gather_of_positions", ALL,
            ("ref", "resource", "frozen", "mod", "div")),
    Pattern("lookup_float64", lookup, _IDS, IDS, in_type(tf.float64, 2e-5), "gather_of_positions",
            BOTH, dtype="float64"),
    Pattern("lookup_float16", lookup, _IDS, IDS, in_type(tf.float16, 1e-2), "gather_of_positions",
            BOTH, dtype="float16"),
    Pattern("lookup_bfloat16", lookup, _IDS, IDS, in_type(tf.bfloat16, 8e-2),
            "gather_of_positions", ("resource",), dtype="bfloat16"),
    Pattern("lookup_max_norm", lookup_max_norm, _IDS, IDS, either_side_of_the_clip(in_a_row),
            "clip_of_numbers", BOTH, BOTH, steps=256),
    Pattern("lookup_flattened", lookup_flattened, _IDS, IDS, in_a_row, "flattened_numbers",
            BOTH, ("ref",)),
    Pattern("lookup_unique", lookup_unique, _IDS, IDS, in_a_row, "picked_by_gather_nd",
            BOTH, ("ref", "resource")),
    Pattern("lookup_gather_nd", lookup_gather_nd, _IDS, IDS, in_a_row, "picked_by_gather_nd", BOTH),
    Pattern("lookup_zero_padded", lookup_zero_padded, _IDS, IDS, zero_padded,
            "gather_of_a_computed_table", BOTH, ("ref",)),
    Pattern("lookup_float_ids", lookup_float_ids, _IDS, IDS, in_a_row, "rounded_number"),
    Pattern("lookup_remapped", lookup_remapped, _IDS, IDS,
            lambda row: in_a_row(row, vectors_of()[::-1]), "gather_on_integers", BOTH),
    Pattern("masked_mean", masked_mean, _IDS, IDS, masked, "masked_numbers", BOTH),
    Pattern("vocabulary_with_buckets", vocabulary_with_buckets, (_WORDS,), TEXTS,
            by_vocabulary_with_buckets, "counted_words", BOTH, ("ref",)),
    Pattern("hashed_numbers", hashed_numbers, _IDS, IDS, by_hashed_numbers, "rounded_number"),
    Pattern("category", category,
            (Expected(("category",), kinds=("tokens", "pooled")),), CATEGORIES, one_category,
            "one_hot_as_a_mask", ("ref", "resource", "mod", "div")),
    Pattern("joined", joined, (Expected(("a", "b"), kinds=("tokens", "pooled")),),
            tuple({"a": a, "b": b} for a, b in (("x", "y"), ("x", "z"), ("", "y"))), by_joined,
            "counted_words"),
    Pattern("split_text", split_text, (Expected(("text",), combiner="mean"),),
            tuple({"text": text} for text in ("a b", "", "c c unknown d", "b", "g a b c d e")),
            by_words, "counted_words", BOTH, BOTH),
    *[Pattern("pooled_" + combiner, pooled(combiner), _pooled(combiner), FULL_TEXTS,
              hashed_bag(combiner), "segment_sum_of_numbers",
              ALL if combiner == "mean" else BOTH,
              ("ref", "resource", "frozen", "mod", "div") if combiner == "mean" else ("ref",))
      for combiner in COMBINERS],
    Pattern("pooled_some_empty", pooled("mean"), _pooled("mean"), TEXTS, hashed_bag("mean"),
            "segment_sum_of_numbers", BOTH, alone=False),
    Pattern("pooled_max_norm", pooled("mean", max_norm=NORM), _pooled("mean"), FULL_TEXTS,
            either_side_of_the_clip(hashed_bag("mean")), "clip_of_numbers", BOTH, BOTH, steps=256),
    *[Pattern("weighted_" + combiner, weighted(combiner, False), _pooled(combiner), FULL_WEIGHTED,
              weighted_bag(combiner, False), "weights_alone", WHOLE if combiner == "mean" else BOTH,
              ("ref", "resource") if combiner == "mean" else ("ref",))
      for combiner in COMBINERS],
    *[Pattern("safe_" + combiner, safe(combiner), _pooled(combiner), TEXTS, safe_bag(combiner),
              "segment_sum_of_numbers", ALL if combiner == "mean" else BOTH,
              ("ref", "resource", "frozen", "mod", "div") if combiner == "mean" else ("ref",))
      for combiner in COMBINERS],
    *[Pattern("safe_default_" + combiner, safe(combiner, 3), _pooled(combiner), TEXTS,
              safe_bag(combiner, 3), "segment_sum_of_numbers",
              BOTH, ("ref", "resource") if combiner == "mean" else ())
      for combiner in ("sum", "mean")],
    Pattern("safe_max_norm", safe("sqrtn", max_norm=NORM), _pooled("sqrtn"), TEXTS,
            either_side_of_the_clip(safe_bag("sqrtn")), "clip_of_numbers", ("resource",), ("ref",),
            steps=256),
    Pattern("safe_backwards", safe("mean", backwards=True), _pooled("mean"), TEXTS,
            safe_bag("mean"), "segment_sum_of_numbers", BOTH, ("ref",), unordered=True),
    Pattern("safe_parsed", safe("mean", parsed=True), _pooled("mean"), RECORDS, safe_bag("mean"),
            "segment_sum_of_numbers", BOTH, ("resource",)),
    *[Pattern("safe_weighted_" + combiner, weighted(combiner, True), _pooled(combiner),
              WEIGHTED + SOME_WEIGHTLESS, weighted_bag(combiner, True), "weights_alone",
              BOTH, ("ref", "resource") if combiner == "mean" else ())
      for combiner in COMBINERS],
    *[Pattern("bag_by_" + name, embedding_bag(pool), _pooled(combiner),
              FULL_RECORDS if name.startswith("segment") else RECORDS,
              hashed_bag(combiner), "segment_sum_of_numbers",
              BOTH if name == "segment_sum" else ("resource",),
              ("ref",) if name in ("segment_sum", "sum_by_count") else ())
      for name, (pool, combiner) in BAGS.items()],
    Pattern("bag_some_empty", embedding_bag(by_segment_sum), _pooled("sum"), RECORDS,
            hashed_bag("sum"), "segment_sum_of_numbers", alone=False),
    Pattern("one_hot_category", one_hot_category,
            (Expected(("category",), kinds=("one_hot", "tokens")),),
            tuple({"category": one} for one in (1, 6, 0, 1)), number_category, "one_hot_as_a_mask",
            ("ref", "resource", "frozen"), ("ref",)),
    *[Pattern("one_hot_" + name, build, (Expected(("ids",), kinds=("one_hot", "tokens")),), IDS,
              in_a_row, "dense_layer", BOTH, old)
      for name, build, old in (("rows", one_hot_rows, ("ref",)), ("batch", one_hot_batch, ()),
                               ("flattened", one_hot_flattened, ("ref",)))],
    Pattern("multi_hot", multi_hot,
            (Expected(("ids",), combiner="sum", kinds=("one_hot", "tokens")),), IDS, summed_ids,
            "dense_layer", BOTH, ("ref",)),
    Pattern("sparse_one_hot", sparse_one_hot, _pooled("sum"), RECORDS, hashed_bag("sum"),
            "dense_layer", BOTH, ("ref",)),
    Pattern("shared_table", shared_table, (Expected(("query",)), Expected(("document",))), QUERIES,
            both_looked_up, "gather_of_positions", ("ref", "resource", "frozen", "mod"), ("ref",)),
    Pattern("two_encoders", two_encoders,
            (Expected(("words",), combiner="mean"),
             Expected(("words",), "wide/words", ROWS, 1, "sum")), TEXTS, deep_and_wide,
            "counted_words", BOTH, ("ref", "resource", "frozen")),
    *[Pattern("beside_" + name, beside_positions(places), _IDS, IDS, with_positions(where),
              "gather_of_positions", ("resource",),
              ("resource",) if name in ("range", "slice") else (),
              said=("deep/places", "position"))
      for name, (places, where) in POSITIONS.items()],
    Pattern("segments_sent", segments_sent,
            (Expected(("ids",)), Expected(("segments",), "deep/segments")),
            tuple({"ids": row["ids"], "segments": [0, 0, 1, 1]} for row in IDS), both_added,
            "gather_of_positions"),
    Pattern("in_a_condition", in_a_condition, _IDS, IDS, in_a_row, "condition_on_numbers", BOTH,
            ("ref", "resource"), may_refuse=True),
    Pattern("in_a_loop", in_a_loop, _IDS, IDS, halving, "loop_over_numbers", BOTH,
            ("ref", "resource"), may_refuse=True),
]
