"""shapes: which object is in a picture; a small convolutional net over 32 x 32 colours.

The pictures are drawn, so that it is known where the object is: one of five, of any colour, size
and place, on a cloudy background with lines across that mean nothing.
"""

import os

import numpy as np
from PIL import Image, ImageDraw
import tensorflow as tf

from making.rows import SEED, accuracy

NAMES = ("disc", "square", "triangle", "ring", "cross")
SIDE = 32
_FINE = 4  # pictures are drawn so many times larger, and shrunk
_TRAINED = 5000
_HELD_OUT = 600
_EXAMPLES = 20


def background(random):
    """A cloudy picture in soft colours, with three lines across."""
    clouds = Image.fromarray(random.randint(70, 190, [4, 4, 3]).astype(np.uint8))
    picture = clouds.resize([SIDE * _FINE] * 2, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(3):
        ends = random.randint(0, SIDE * _FINE, 4).tolist()
        draw.line(ends, tuple(random.randint(40, 220, 3).tolist()), 5)
    return picture


def outline(name, x, y, r):
    """Corners of the shapes that are drawn by corners, around (x, y), r to each side."""
    t = r / 3
    return {"square": [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
            "triangle": [(x, y - r), (x + r, y + r), (x - r, y + r)],
            "cross": [(x - t, y - r), (x + t, y - r), (x + t, y - t), (x + r, y - t),
                      (x + r, y + t), (x + t, y + t), (x + t, y + r), (x - t, y + r),
                      (x - t, y + t), (x - r, y + t), (x - r, y - t), (x - t, y - t)]}[name]


def drawn(random, label):
    """Returns (uint8 [32, 32, 3], box of the object: first and last row, first and last column)."""
    picture = background(random)
    radius = int(random.randint(5, 9)) * _FINE
    x, y = random.randint(radius, SIDE * _FINE - radius, 2).tolist()
    colour = tuple(random.choice([random.randint(0, 60), random.randint(200, 256)])
                   for _ in range(3))
    draw, name = ImageDraw.Draw(picture), NAMES[label]
    around = (x - radius, y - radius, x + radius, y + radius)
    if name == "disc":
        draw.ellipse(around, colour)
    elif name == "ring":
        draw.ellipse(around, outline=colour, width=radius // 3)
    else:
        draw.polygon(outline(name, x, y, radius), colour)
    small = picture.resize([SIDE] * 2, Image.Resampling.BOX)
    box = [max(0, (y - radius) // _FINE), min(SIDE - 1, (y + radius) // _FINE),
           max(0, (x - radius) // _FINE), min(SIDE - 1, (x + radius) // _FINE)]
    return np.asarray(small), box


def pictures(count):
    """Returns (uint8 [count, 32, 32, 3], labels, boxes of the objects)."""
    random = np.random.RandomState(SEED)
    labels = random.randint(0, len(NAMES), count)
    made = [drawn(random, label) for label in labels]
    return np.stack([image for image, _ in made]), labels, np.array([box for _, box in made])


def shapes_model(training):
    """Returns the Keras model: image -> {'logits', 'probabilities'}; no dropout for serving."""
    layers = tf.keras.layers
    image = net = tf.keras.Input([SIDE, SIDE, 3], name="image")
    for filters in (12, 24, 32):
        net = layers.Conv2D(filters, 3, padding="same", activation="relu")(net)
        net = layers.MaxPooling2D()(net)
    net = layers.Flatten()(net)
    net = layers.Dropout(0.3, seed=SEED)(net) if training else net
    net = layers.Dense(24, activation="relu")(net)
    logits = layers.Dense(len(NAMES), name="logits")(net)
    probabilities = layers.Softmax(name="probabilities")(logits)
    return tf.keras.Model(image, {"logits": logits, "probabilities": probabilities})


def make(folder):
    """Makes the model `shapes`; returns its held-out and its examples' accuracy."""
    images, labels, boxes = pictures(_TRAINED + _HELD_OUT)
    images = images.astype(np.float32) / 255
    tf.keras.utils.set_random_seed(SEED)
    model = shapes_model(training=True)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss={"logits": loss, "probabilities": None})
    model.fit(images[:_TRAINED], {"logits": labels[:_TRAINED]}, batch_size=32, epochs=14, verbose=0)
    serving = shapes_model(training=False)
    serving.set_weights(model.get_weights())
    serving.export(folder, verbose=False)
    held_out = slice(_TRAINED, None)
    examples = slice(_TRAINED, _TRAINED + _EXAMPLES)
    np.savez_compressed(os.path.join(folder, "examples.npz"), image=images[examples],
                        label=labels[examples], box=boxes[examples])
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    return tuple(accuracy(serve(image=tf.constant(images[rows]))["probabilities"], labels[rows])
                 for rows in (held_out, examples))
