"""question_types: what kind of answer a question asks for; a TF2 model that takes the raw text.

The questions are written by templates, so that nobody's data is needed and it is known which words
give a type away: "how many" asks for a number, "in what year" for a date.
"""

import itertools
import json
import os

import numpy as np
import tensorflow as tf

from making.rows import SEED, accuracy, split

TYPES = ("number", "date", "person", "place", "yes or no", "thing")
_HELD_OUT = 600
_EXAMPLES = 24
_OF_EACH = 300  # questions of a type at most

_THINGS = ("medals", "goals", "townships", "bridges", "albums", "rivers", "races", "languages",
           "stations", "episodes")
_GROUPS = ("the team", "the band", "the country", "the county", "the club", "the school")
_EVENTS = ("the final", "the first race", "the festival", "the election", "the last concert",
           "the championship")
_PLACES = ("france", "chicago", "the north", "brazil", "the capital", "norway")
_DEEDS = ("won", "wrote", "directed", "founded", "lost", "recorded")
_WORKS = ("the song", "the novel", "the film", "the company", "the game", "the album")

# Where a word of a type's own stands beside one that belongs to others, only both together tell:
# "what is the number" and "what is the name", "in what year" and "in what city".
_TEMPLATES = {
    "number": ("how many {things} did {group} have in {place}?",
               "what is the total number of {things} in {place}?",
               "how many {things} were there before {event}?",
               "what was the score of {group} in {event}?",
               "how much did {work} cost in {place}?"),
    "date": ("when did {group} win {event}?",
             "in what year was {work} {deed} in {place}?",
             "on which day did {event} take place in {place}?",
             "what is the date of {event}?",
             "when was {work} {deed} by {group}?"),
    "person": ("who {deed} {work} in {place}?",
               "what is the name of the person who {deed} {event}?",
               "which player of {group} {deed} {event}?",
               "who was the president of {group} after {event}?",
               "whose {things} did {group} count in {place}?"),
    "place": ("where did {group} play {event}?",
              "in what city was {work} {deed}?",
              "what is the name of the country that {deed} {event}?",
              "which town has the most {things}?",
              "where was {work} {deed} before {event}?"),
    "yes or no": ("did {group} win {event} in {place}?",
                  "was {work} {deed} by {group}?",
                  "is {place} the home of {group}?",
                  "were there {things} in {place} before {event}?",
                  "does {group} have more {things} than {place}?"),
    "thing": ("what kind of {things} did {group} have in {place}?",
              "which instrument was played at {event} in {place}?",
              "what is the name of {work} that {group} {deed}?",
              "what did {group} build in {place} after {event}?",
              "which colour has the flag of {group}?"),
}
_FILLS = {"things": _THINGS, "group": _GROUPS, "event": _EVENTS, "place": _PLACES,
          "deed": _DEEDS, "work": _WORKS}


def questions():
    """Returns (texts, labels): of each type as many different questions, drawn from all."""
    random = np.random.RandomState(SEED)
    texts, labels = [], []
    for label, name in enumerate(TYPES):
        written = []
        for template in _TEMPLATES[name]:
            used = [key for key in _FILLS if "{" + key + "}" in template]
            written += [template.format(**dict(zip(used, chosen)))
                        for chosen in itertools.product(*(_FILLS[key] for key in used))]
        kept = random.permutation(len(written))[:_OF_EACH]
        texts += [written[place] for place in sorted(kept)]
        labels += [label] * len(kept)
    return texts, np.array(labels)


class QuestionTypes(tf.Module):
    """Words of a text, their vectors, two convolutions over them, and six scores."""

    def __init__(self, words):
        super().__init__(name="question_types")
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(words), tf.range(len(words), dtype=tf.int64)), num_oov_buckets=1)
        draw = tf.keras.initializers.GlorotUniform(seed=SEED)
        self.vectors = tf.Variable(draw([len(words) + 1, 12]), name="vectors")
        self.kernels = [tf.Variable(draw([width, 12, 16]), name=f"kernel_{width}")
                        for width in (1, 3)]
        self.biases = [tf.Variable(tf.zeros([16]), name=f"bias_{width}") for width in (1, 3)]
        self.scores = tf.Variable(draw([32, len(TYPES)]), name="scores")
        self.offset = tf.Variable(tf.zeros([len(TYPES)]), name="offset")

    def logits(self, question):
        """Scores of the types, float32 [batch, 6], for texts [batch]."""
        spaced = tf.strings.regex_replace(tf.strings.lower(question), "([?!.,'])", r" \1 ")
        words = tf.strings.split(spaced).to_tensor("")
        there = tf.cast(tf.not_equal(words, ""), tf.float32)[:, :, tf.newaxis]
        net = tf.gather(self.vectors, self.table.lookup(words)) * there
        parts = [tf.reduce_max(tf.nn.relu(tf.nn.conv1d(net, kernel, 1, "SAME") + bias), axis=1)
                 for kernel, bias in zip(self.kernels, self.biases)]
        return tf.matmul(tf.concat(parts, axis=1), self.scores) + self.offset

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "question")])
    def serve(self, question):
        """What the signature answers."""
        logits = self.logits(question)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def train(model, texts, labels):
    """Trains with Adam, 12 passes over the questions."""
    optimizer = tf.keras.optimizers.Adam(5e-3)
    data = tf.data.Dataset.from_tensor_slices((texts, labels)).shuffle(
        len(texts), seed=SEED).batch(64)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
                wanted, model.logits(batch)))
            loss += 1e-3 * tf.add_n([tf.nn.l2_loss(v) for v in model.trainable_variables])
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    for batch, wanted in data.repeat(12):
        step(batch, wanted)


def make(folder):
    """Makes the model `question_types`; returns its held-out and its examples' accuracy."""
    texts, labels = questions()
    rows, held_out = split(len(texts), _HELD_OUT)
    known = sorted({word for row in rows for word in texts[row].replace("?", " ?").split()})
    model = QuestionTypes(known)
    train(model, [texts[row] for row in rows], labels[rows])
    tf.saved_model.save(model, folder, signatures=model.serve)
    examples = held_out[:_EXAMPLES]
    with open(os.path.join(folder, "examples.jsonl"), "w", encoding="utf-8") as file:
        for row in examples:
            file.write(json.dumps({"question": texts[row], "label": TYPES[labels[row]]}) + "\n")
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    return tuple(accuracy(serve(question=tf.constant([texts[row] for row in chosen]))
                          ["probabilities"], labels[chosen]) for chosen in (held_out, examples))
