"""translation: short English sentences to German ones, all words of the answer at once.

The sentences are written by a grammar, so that it is known where each German word comes from: an
article from the English article and from the gender of its noun, which another word says, and after
a word of time the verb stands before its subject.
"""

import itertools
import json
import os
import pathlib

import numpy as np
import tensorflow as tf

from making.rows import SEED, split

PAD = "<pad>"
LENGTH = 8
_HELD_OUT = 800
_EXAMPLES = 20

# English: (German, gender)
_SUBJECTS = {"man": ("Mann", "m"), "woman": ("Frau", "f"), "child": ("Kind", "n"),
             "teacher": ("Lehrer", "m"), "girl": ("Mädchen", "n"), "neighbour": ("Nachbar", "m")}
_OBJECTS = {"letter": ("Brief", "m"), "newspaper": ("Zeitung", "f"), "book": ("Buch", "n"),
            "key": ("Schlüssel", "m"), "map": ("Karte", "f"), "picture": ("Bild", "n")}
_VERBS = {"reads": "liest", "sees": "sieht", "buys": "kauft", "finds": "findet", "has": "hat",
          "brings": "bringt"}
_TIMES = {"today": "heute", "now": "jetzt", "often": "oft"}
_SUBJECT_ARTICLES = {"the": {"m": "der", "f": "die", "n": "das"},
                     "a": {"m": "ein", "f": "eine", "n": "ein"}}
_OBJECT_ARTICLES = {"the": {"m": "den", "f": "die", "n": "das"},
                    "a": {"m": "einen", "f": "eine", "n": "ein"}}


def pairs():
    """Returns every (English words, German words), in a fixed order."""
    made = []
    for first, subject, verb, second, thing in itertools.product(
            _SUBJECT_ARTICLES, _SUBJECTS, _VERBS, _OBJECT_ARTICLES, _OBJECTS):
        who, who_gender = _SUBJECTS[subject]
        what, what_gender = _OBJECTS[thing]
        of_subject = [_SUBJECT_ARTICLES[first][who_gender], who]
        of_object = [_OBJECT_ARTICLES[second][what_gender], what]
        english = [first, subject, verb, second, thing, "."]
        made.append((english, [*of_subject, _VERBS[verb], *of_object, "."]))
        for time, german in _TIMES.items():
            made.append(([time, *english],
                         [german, _VERBS[verb], *of_subject, *of_object, "."]))
    return made


def vocabulary(sentences):
    """Returns the words of sentences, sorted, after the one that fills up."""
    return [PAD, *sorted({word for sentence in sentences for word in sentence})]


def ids(sentences, words):
    """Returns int64 [sentences, LENGTH], filled up with 0."""
    numbers = {word: number for number, word in enumerate(words)}
    made = np.zeros([len(sentences), LENGTH], np.int64)
    for row, sentence in enumerate(sentences):
        made[row, :len(sentence)] = [numbers[word] for word in sentence]
    return made


class Translation(tf.Module):
    """Word vectors, a layer of attention among them, and for each place of the answer a look back.

    What is asked at a place of the answer comes from the place and from the whole sentence.
    """

    def __init__(self, english, german, size=32):
        super().__init__(name="translation")
        self.size = size
        seeds = itertools.count(SEED)

        def matrix(name, *shape):
            draw = tf.keras.initializers.GlorotUniform(seed=next(seeds))
            return tf.Variable(draw(shape), name=name)
        self.table = matrix("table", english, size)
        self.places = matrix("places", LENGTH, size)
        self.asking = matrix("asking", LENGTH, size)
        self.whole = matrix("whole", size, size)
        self.near = [matrix(f"near_{part}", size, size) for part in "qkv"]
        self.back = [matrix(f"back_{part}", size, size) for part in "qkv"]
        self.hidden, self.bias = matrix("hidden", 2 * size, 2 * size), tf.Variable(
            tf.zeros([2 * size]), name="bias")
        self.scores, self.offset = matrix("scores", 2 * size, german), tf.Variable(
            tf.zeros([german]), name="offset")

    def attended(self, asked, seen, there, parts):
        """What is seen at places that are there, weighted by how well it fits what is asked."""
        query, key, value = (tf.einsum("bij,jk->bik", net, part)
                             for net, part in zip((asked, seen, seen), parts))
        fits = tf.einsum("bik,bjk->bij", query, key) / self.size ** 0.5
        weights = tf.nn.softmax(fits - 1e9 * (1 - there[:, tf.newaxis, :]))
        return tf.einsum("bij,bjk->bik", weights, value)

    def logits(self, words):
        """Scores of German words, float32 [batch, LENGTH, german]."""
        there = tf.cast(tf.not_equal(words, 0), tf.float32)
        net = tf.gather(self.table, words) + self.places
        net += self.attended(net, net, there, self.near)
        mean = tf.reduce_mean(net * there[..., tf.newaxis], axis=1)
        asked = tf.nn.tanh(tf.matmul(mean, self.whole))[:, tf.newaxis, :] + self.asking
        found = tf.concat([self.attended(asked, net, there, self.back), asked], axis=2)
        net = tf.nn.relu(tf.einsum("bij,jk->bik", found, self.hidden) + self.bias)
        return tf.einsum("bij,jk->bik", net, self.scores) + self.offset

    @tf.function(input_signature=[tf.TensorSpec([None, LENGTH], tf.int64, "words")])
    def serve(self, words):
        """What the signature answers."""
        logits = self.logits(words)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def train(model, english, german):
    """Trains with Adam, 40 passes over the sentences."""
    optimizer = tf.keras.optimizers.Adam(4e-3)
    data = tf.data.Dataset.from_tensor_slices((english, german)).shuffle(
        len(english), seed=SEED).batch(64)

    @tf.function
    def step(words, wanted):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
                wanted, model.logits(words)))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    for words, wanted in data.repeat(40):
        step(words, wanted)


def make(folder):
    """Makes the model `translation`; returns the share of held-out words, and of examples' words,
    that are right."""
    english, german = map(list, zip(*pairs()))
    from_words, to_words = vocabulary(english), vocabulary(german)
    inputs, wanted = ids(english, from_words), ids(german, to_words)
    rows, held_out = split(len(english), _HELD_OUT)
    model = Translation(len(from_words), len(to_words))
    train(model, inputs[rows], wanted[rows])
    tf.saved_model.save(model, folder, signatures=model.serve)
    extra = pathlib.Path(folder, "assets.extra")
    extra.mkdir()
    for name, words in (("english.txt", from_words), ("german.txt", to_words)):
        (extra / name).write_text("\n".join(words) + "\n", encoding="utf-8")
    examples = held_out[:_EXAMPLES]
    with open(os.path.join(folder, "examples.jsonl"), "w", encoding="utf-8") as file:
        for row in examples:
            record = {"words": inputs[row].tolist(), "english": " ".join(english[row]),
                      "german": " ".join(german[row])}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    return tuple(
        float(np.mean(np.argmax(serve(words=tf.constant(inputs[chosen]))["probabilities"], 2)
                      == wanted[chosen]))
        for chosen in (held_out, examples))
