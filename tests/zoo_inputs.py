"""Real inputs for the models of the zoo and of saved_models/, and the two ways to ask a model.

`inputs(zoo, name, rows)` gives {signature input: numpy array}: what a client would send; strings
are object arrays of bytes. `ask_session` and `ask_object` run a signature with TensorFlow 1's
loader and with TensorFlow 2's.
Everything is read from the zoo's own files, but for the tone of basic_pitch, the sentences of
reactionrnn and the mothers of babyweight, whose category spellings are not known.
"""

import base64
import csv
import io
import json
import pathlib

import numpy as np
from PIL import Image
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

OWN_MODELS = pathlib.Path(__file__).resolve().parent.parent / "saved_models"

CENSUS_NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CENSUS_STRINGS = ("workclass", "education", "marital_status", "occupation", "relationship",
                  "race", "gender", "native_country")
SENTENCES = (  # no real posts come with the model; these are the kind that it was trained on
    "Happy birthday to the best mom in the world!",
    "This is so sad, my thoughts are with the family",
    "LOL that cat is hilarious",
    "Wow, I can't believe they actually landed on the moon",
    "This company is a disgrace and should be ashamed",
    "I love you all",
    "Good morning everyone, have a great day",
    "Two people were killed in the crash on Monday",
    "haha this is me every single morning",
    "The new stadium holds 80,000 people",
    "Why do you keep lying to us?",
    "She beat cancer and ran a marathon",
    "RIP, you will be missed",
    "When you forget your own birthday",
    "Congress votes to cut funding for schools",
    "Look at this amazing view of the mountains",
)
SAMPLE_RATE, SAMPLES, CONCERT_PITCH = 22050, 43844, 440.0  # basic_pitch: one window of audio


def inputs(zoo, name, rows=8):
    """At most `rows` examples for a model of the zoo.

    Args:
      zoo: the folder of the zoo.
      name: of the model, as the zoo's README has it ('taxi', 'census_wide_deep/raw').
      rows: how many examples, if the files have as many.
    """
    fed = _FEEDS[name](pathlib.Path(zoo), rows)
    return {key: value[:rows] for key, value in fed.items()}


def own_inputs(name, rows=8):
    """The same for a model of saved_models/, from the examples beside it."""
    return {key: value[:rows] for key, value in _OWN_FEEDS[name](OWN_MODELS / name).items()}


def ask_session(folder, signature, fed, keys=None, tags=("serve",)):
    """{output: array} of a signature, asked once in a session of TensorFlow 1."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta_graph = tf.compat.v1.saved_model.load(session, list(tags), str(folder))
        return ask_loaded(session, meta_graph, signature, fed, keys)


def ask_loaded(session, meta_graph, signature, fed, keys=None):
    """The same for a model that a session has loaded."""
    found = meta_graph.signature_def[signature]
    fetches = {key: info.name for key, info in found.outputs.items() if not keys or key in keys}
    return session.run(fetches, {found.inputs[key].name: fed[key] for key in found.inputs})


def ask_object(folder, signature, fed):
    """{output: array} of a signature, as TensorFlow 2 loads it."""
    return ask_function(tf.saved_model.load(str(folder)).signatures[signature], fed)


def ask_function(function, fed):
    """The same for a signature that is loaded."""
    answers = function(**{key: as_tensor(value) for key, value in fed.items()})
    return {key: tensor.numpy() for key, tensor in answers.items()}


def as_tensor(array):
    """A constant; object arrays are strings."""
    return tf.constant(array.tolist(), tf.string) if array.dtype == object else tf.constant(array)


def taxi_example(zoo, row):
    """One trip, a dict of texts by column, as a serialized tf.Example of the types in the model."""
    return _example(row, _parsed_types(pathlib.Path(zoo) / "taxi"))


def taxi_rows(zoo, rows):
    """Trips as dicts of texts by column."""
    return _csv_rows(pathlib.Path(zoo) / "taxi" / "trips.csv", rows)


def _objects(values):
    """An object array, whatever the values look like."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _csv_rows(path, rows):
    with open(path, encoding="utf-8", newline="") as file:
        return [row for _, row in zip(range(rows), csv.DictReader(file))]


def _example(row, types):
    """A serialized tf.Example of the columns in `types`; empty fields are left out."""
    example = tf.train.Example()
    for name, dtype in types.items():
        if row.get(name, "") == "":
            continue
        feature = example.features.feature[name]
        if dtype == tf.string:
            feature.bytes_list.value.append(row[name].encode())
        elif dtype == tf.int64:
            feature.int64_list.value.append(int(float(row[name])))
        else:
            feature.float_list.value.append(float(row[name]))
    return example.SerializeToString()


def _parsed_types(folder):
    """{feature: dtype} as the ParseExampleV2 of a flat model reads them."""
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    nodes = {node.name: node for node in proto.meta_graphs[0].graph_def.node}
    parser = next(node for node in nodes.values() if node.op == "ParseExampleV2")
    types = {}
    for operand, attribute in ((2, "sparse_types"), (3, "Tdense")):
        keys = tf.make_ndarray(nodes[parser.input[operand]].attr["value"].tensor)
        dtypes = parser.attr[attribute].list.type
        assert len(keys) == len(dtypes), f"{attribute}: {keys}"
        types.update({key.decode(): tf.as_dtype(dtype) for key, dtype in zip(keys, dtypes)})
    return types


def _census_raw(zoo, rows):
    records = _csv_rows(zoo / "census_wide_deep" / "rows.csv", rows)
    fed = {name: np.array([float(row[name]) for row in records], np.float32)
           for name in CENSUS_NUMBERS}
    fed.update({name: _objects([row[name].encode() for row in records])
                for name in CENSUS_STRINGS})
    return fed


def _census_examples(zoo, rows):
    types = {name: tf.float32 for name in CENSUS_NUMBERS}
    types.update({name: tf.string for name in CENSUS_STRINGS})
    records = _csv_rows(zoo / "census_wide_deep" / "rows.csv", rows)
    return {"inputs": _objects([_example(row, types) for row in records])}


def _babyweight(zoo, rows):
    del zoo, rows
    strings = {
        "is_male": ("True", "False", "True", "False"),
        "mother_race": ("White", "Black", "Asian Indian", "Unknown"),
        "mother_married": ("True", "True", "False", "False"),
        "alcohol_use": ("False", "False", "True", "Unknown"),
        "cigarette_use": ("False", "True", "False", "Unknown"),
    }
    numbers = {"mother_age": (25, 31, 19, 42), "plurality": (1, 2, 1, 3),
               "gestation_weeks": (39, 38, 41, 33)}
    fed = {name: _objects([text.encode() for text in texts]) for name, texts in strings.items()}
    fed.update({name: np.array(values, np.float32) for name, values in numbers.items()})
    return fed


def _taxi(zoo, rows):
    types = _parsed_types(zoo / "taxi")
    return {"inputs": _objects([_example(row, types) for row in taxi_rows(zoo, rows)])}


def _photos(zoo, rows, side):
    files = sorted((zoo / "nsfw_mobilenet").glob("*.jpg"))[:rows]
    return [Image.open(file).convert("RGB").resize((side, side)) for file in files]


def _nsfw_mobilenet(zoo, rows):
    pixels = [np.asarray(photo, np.float32) / 255 for photo in _photos(zoo, rows, 224)]
    return {"input_1": np.stack(pixels)}


def _deep_image(zoo, rows):
    texts = []
    for photo in _photos(zoo, rows, 64):
        data = io.BytesIO()
        photo.save(data, "JPEG")
        texts.append(base64.urlsafe_b64encode(data.getvalue()).rstrip(b"="))
    return {"images": _objects(texts)}


def _cifar(zoo, rows):
    return {"Input": np.stack([np.asarray(photo, np.float32) / 255
                               for photo in _photos(zoo, rows, 32)])}


def _penguin(zoo, rows):
    records = _csv_rows(zoo / "penguin" / "penguins_processed.csv", 334)
    spread = records[::max(len(records) // rows, 1)]  # the file is sorted by species
    types = {name: tf.float32 for name in records[0] if name != "species"}
    return {"examples": _objects([_example(row, types) for row in spread])}


def _reactionrnn(zoo, rows):
    text = (zoo / "reactionrnn" / "reactionrnn_vocab.json").read_text(encoding="utf-8")
    vocabulary = json.loads(text)
    ids = np.zeros((len(SENTENCES), 140), np.float32)
    for row, sentence in zip(ids, SENTENCES):
        known = [vocabulary[letter] for letter in sentence if letter in vocabulary]
        row[-len(known):] = known
    return {"input": ids[:rows]}


def _basic_pitch(zoo, rows):
    del zoo, rows
    seconds = np.arange(SAMPLES) / SAMPLE_RATE
    return {"input_2": np.sin(2 * np.pi * CONCERT_PITCH * seconds)[None, :, None].astype(
        np.float32)}


def _queue_towers(zoo, rows):
    table = np.loadtxt(zoo / "queue_towers" / "cancer_test.csv", np.float32, delimiter=",")
    table = table[:rows]
    return {"features": table[:, :9], "keys": np.arange(len(table), dtype=np.int32)[:, None]}


_FEEDS = {
    "census_wide_deep/raw": _census_raw,
    "census_wide_deep/examples": _census_examples,
    "babyweight": _babyweight,
    "taxi": _taxi,
    "nsfw_mobilenet": _nsfw_mobilenet,
    "cifar/saved_model": _cifar,
    "penguin": _penguin,
    "reactionrnn": _reactionrnn,
    "basic_pitch": _basic_pitch,
    "deep_image": _deep_image,
    "queue_towers": _queue_towers,
}
NAMES = tuple(_FEEDS)
# Where not serving_default, or the only one, is what shall be explained.
SIGNATURES = {"census_wide_deep/raw": "predict", "census_wide_deep/examples": "serving_default"}
# Where the default refuses: what its message suggests, for the note that is played.
TARGETS = {"basic_pitch": "note:86,48"}


def _diabetes_columns(folder):
    records = _csv_rows(folder / "examples.csv", 60)
    strings = ("age_group", "bmi_class", "sex")
    return {name: _objects([row[name].encode() for row in records]) if name in strings
            else np.array([float(row[name]) for row in records], np.float32)
            for name in records[0] if name != "label"}


def _review_tokens(folder):
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    return {"tokens": np.array([json.loads(line)["tokens"] for line in lines], np.int64)}


def _digits_cnn(folder):
    with np.load(folder / "examples.npz") as data:
        return {"image": data["image"]}


_OWN_FEEDS = {"diabetes_columns": _diabetes_columns, "review_tokens": _review_tokens,
              "digits_cnn": _digits_cnn}
OWN_NAMES = tuple(_OWN_FEEDS)
