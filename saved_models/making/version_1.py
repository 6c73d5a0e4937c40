"""Models as TensorFlow 1 wrote them: built, trained and exported with `tf.compat.v1`."""

import tensorflow as tf

from making.rows import SEED, batches

tf1 = tf.compat.v1


def initializer(training):
    """Returns what variables start from: zeros for serving, where they are loaded at once.

    So no random op is left in an exported graph.
    """
    return tf1.glorot_uniform_initializer() if training else tf1.zeros_initializer()


def dense(net, units, name, training, activation=tf.identity):
    """Returns a fully connected layer over `net`."""
    with tf1.variable_scope(name):
        kernel = tf1.get_variable(
            "kernel", [net.shape[-1], units], initializer=initializer(training))
        bias = tf1.get_variable("bias", [units], initializer=tf1.zeros_initializer())
        return activation(tf.matmul(net, kernel) + bias)


def classify(logits):
    """Names the two outputs of a classifier; both TF1 models end with this."""
    return {
        "logits": tf.identity(logits, name="logits"),
        "probabilities": tf.nn.softmax(logits, name="probabilities"),
    }


def train_v1(build, feeds, labels, rows, *, size, epochs, learning_rate, l2):
    """Trains a TF1 model in a graph of its own and returns its variables' values by name.

    Args:
        build: function (training) -> (inputs by name, outputs by name), called inside the graph.
        feeds: arrays by input name, all rows.
        labels: int array [rows].
        rows: the numbers of the rows to train on.
        size: rows in a batch.
        epochs: passes over the rows.
        learning_rate: of Adam.
        l2: weight in the loss of the squared weights of matrices and kernels (not of biases).

    Returns:
        Array by variable name; Adam's slots are not among them.
    """
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(SEED)
        inputs, outputs = build(training=True)
        target = tf1.placeholder(tf.int32, [None])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=target, logits=outputs["logits"]))
        variables = tf1.trainable_variables()
        loss += l2 * tf.add_n([tf.nn.l2_loss(v) for v in variables if v.shape.rank > 1])
        step = tf1.train.AdamOptimizer(learning_rate).minimize(loss)
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        for batch in batches(rows, size, epochs):
            feed = {inputs[name]: feeds[name][batch] for name in inputs}
            session.run(step, {**feed, target: labels[batch]})
        return {v.op.name: session.run(v) for v in variables}


def export_v1(build, values, folder):
    """Builds the serving graph afresh, loads the variables and writes a TF1 SavedModel."""
    with tf.Graph().as_default(), tf1.Session() as session:
        inputs, outputs = build(training=False)
        # Not by a Saver: its nodes would be exported beside those that the builder adds.
        for variable in tf1.global_variables():
            variable.load(values[variable.op.name], session)
        signature = tf1.saved_model.predict_signature_def(inputs, outputs)
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature},
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(), clear_devices=True,
            # Attributes left at their defaults are often all that an older runtime cannot read.
            strip_default_attrs=True)
        builder.save()


def predict_v1(folder, feeds):
    """Runs the exported model, from its files alone, and returns the probabilities."""
    with tf.Graph().as_default(), tf1.Session() as session:
        meta_graph = tf1.saved_model.load(session, ["serve"], folder)
        signature = meta_graph.signature_def["serving_default"]
        feed = {signature.inputs[name].name: value for name, value in feeds.items()}
        return session.run(signature.outputs["probabilities"].name, feed)
