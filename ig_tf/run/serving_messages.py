"""The few messages of TensorFlow Serving that asking it and warming it up take.

They are those of the package tensorflow-serving-api on the wire, which need not be installed.
Tensors in them are kept serialized: a message and bytes are written alike.
"""

import functools

import numpy as np

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_PACKAGE = "ig_tf.serving"
_STRING, _BYTES, _MESSAGE, _INT64 = 9, 12, 11, 3  # FieldDescriptorProto.Type
# {message: {field: (number, type, message where it is one)}}; "map" is of strings to bytes.
_MESSAGES = {
    "Version": {"value": (1, _INT64, None)},
    "ModelSpec": {"name": (1, _STRING, None), "version": (2, _MESSAGE, "Version"),
                  "signature_name": (3, _STRING, None)},
    "PredictRequest": {"model_spec": (1, _MESSAGE, "ModelSpec"), "inputs": (2, "map", None)},
    "PredictResponse": {"outputs": (1, "map", None), "model_spec": (2, _MESSAGE, "ModelSpec")},
    "PredictLog": {"request": (1, _MESSAGE, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, _MESSAGE, "PredictLog")},
}


def message(name):
    """The class of a message: a key of `_MESSAGES`."""
    return _classes()[name]


def request(arrays, signature, model="", version=None):
    """A PredictRequest.

    Args:
      arrays: {input: numpy array}; strings as arrays of bytes objects.
      signature: which signature shall answer.
      model: name under which the server has the model.
      version: a number, or None for the newest.
    """
    made = message("PredictRequest")()
    made.model_spec.signature_name = signature
    made.model_spec.name = model
    if version is not None:
        made.model_spec.version.value = version
    for key, array in arrays.items():
        made.inputs[key] = _tensor(array)
    return made


def answers(response):
    """{output: numpy array} of a PredictResponse."""
    import tensorflow as tf
    found = {}
    for key, data in response.outputs.items():
        found[key] = tf.make_ndarray(tf.make_tensor_proto(0).FromString(data))
    return found


def warm_up_record(asked):
    """A PredictRequest as a record of tf_serving_warmup_requests."""
    log = message("PredictionLog")()
    log.predict_log.request.CopyFrom(asked)
    return log.SerializeToString(deterministic=True)


def _tensor(array):
    import tensorflow as tf
    array = np.asarray(array)
    proto = tf.make_tensor_proto(array.tolist() if array.dtype == object else array,
                                 tf.string if array.dtype == object else None, array.shape)
    return proto.SerializeToString(deterministic=True)


@functools.cache
def _classes():
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    file = descriptor_pb2.FileDescriptorProto(name="ig_tf_serving.proto", package=_PACKAGE,
                                              syntax="proto3")
    for name, fields in _MESSAGES.items():
        kind = file.message_type.add(name=name)
        for field, (number, type_, of) in fields.items():
            if type_ == "map":
                _add_map(kind, name, field, number)
                continue
            added = kind.field.add(name=field, number=number, type=type_, label=1)
            if of:
                added.type_name = f".{_PACKAGE}.{of}"
    pool = descriptor_pool.DescriptorPool()  # of its own: names may be taken in the common one
    pool.Add(file)
    return {name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


def _add_map(kind, name, field, number):
    entry = kind.nested_type.add(name=f"{field.capitalize()}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_STRING, label=1)
    entry.field.add(name="value", number=2, type=_BYTES, label=1)
    kind.field.add(name=field, number=number, type=_MESSAGE, label=3,
                   type_name=f".{_PACKAGE}.{name}.{entry.name}")
