"""What instrumented SavedModels answer in TensorFlow 1.15, as files.

    python answer.py JOBS.json

Each job is {"model": folder, "request": FILE.npz of the signature's inputs, "answer": FILE.npz}.
An answer that fails is {"error": its text}. Strings are sent and kept as fixed-width bytes.
"""

import json
import sys

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def answer(folder, request):
    with v1.Session(graph=tf.Graph()) as session:
        meta_graph = v1.saved_model.load(session, ["serve"], folder)
        signature = meta_graph.signature_def["attributions"]
        feed = {signature.inputs[name].name: (value.astype(object) if value.dtype.kind == "S"
                                              else value) for name, value in request.items()}
        found = session.run({key: info.name for key, info in signature.outputs.items()}, feed)
    return {key: value.astype("S") if value.dtype == object else value
            for key, value in found.items()}


def main(path):
    with open(path) as file:
        jobs = json.load(file)
    for job in jobs:
        with np.load(job["request"]) as request:
            try:
                found = answer(job["model"], dict(request))
            except Exception as error:  # the test that asked shows it
                found = {"error": "%s: %s" % (type(error).__name__, str(error)[:1500])}
        # Keys with "/" are no file names inside an archive everywhere.
        np.savez(job["answer"], keys=sorted(found),
                 **{"value_%d" % place: found[key] for place, key in enumerate(sorted(found))})


if __name__ == "__main__":
    main(sys.argv[1])
