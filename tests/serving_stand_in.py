"""What TensorFlow Serving does with a SavedModel, in one process, for tests.

Versions are numbered folders; warm-up requests are answered while loading, and one that fails
refuses the model; JSON becomes tensors and back as Serving's json_tensor.cc does it; batching puts
requests together along axis 0, fills them up with a row that is there, and splits the answers. It
is written after Serving's documentation and sources; it is not Serving.
"""

import base64
import contextlib
import http.server
import json
import pathlib
import re
import threading
from concurrent import futures

import numpy as np
import tensorflow as tf

from ig_tf.run import serving_messages

WARM_UP = "assets.extra/tf_serving_warmup_requests"


class Refused(Exception):
    """A request is refused: an HTTP status, the name of a gRPC status, and why."""

    def __init__(self, status, code, reason):
        super().__init__(reason)
        self.status, self.code = status, code


def invalid(reason):
    return Refused(400, "INVALID_ARGUMENT", reason)


class Model:
    """The newest version under a base path, in a session.

    Attributes:
      version: its number.
      signatures: {name: SignatureDef}.
      warmed: how many requests were answered while loading.
    """

    def __init__(self, base_path, name="model", version=None):
        numbers = [int(path.name) for path in pathlib.Path(base_path).iterdir()
                   if re.fullmatch(r"\d+", path.name)]
        self.name, self.version = name, version or max(numbers)
        folder = pathlib.Path(base_path) / str(self.version)
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], str(folder))
        self.signatures = dict(meta_graph.signature_def)
        self.warmed = 0
        if (folder / WARM_UP).exists():
            for record in tf.compat.v1.io.tf_record_iterator(str(folder / WARM_UP)):
                log = serving_messages.message("PredictionLog").FromString(record)
                request = log.predict_log.request
                self.predict(request.model_spec.signature_name, arrays_of(request.inputs))
                self.warmed += 1

    def signature(self, name):
        name = name or "serving_default"
        if name not in self.signatures:
            raise invalid(f"Serving signature name: {name!r} not found in signature def")
        return self.signatures[name]

    def predict(self, name, arrays):
        """{output: array}; the checks are those of Serving's predict_util.cc."""
        signature = self.signature(name)
        if set(arrays) != set(signature.inputs):
            raise invalid(f"input does not match signature: sent {sorted(arrays)}, required "
                          f"{sorted(signature.inputs)}")
        for key, array in arrays.items():
            wanted = tf.as_dtype(signature.inputs[key].dtype)
            found = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
            if found != wanted:
                raise invalid(f"{key}: {found.name} but {wanted.name} expected")
        fed = {signature.inputs[key].name: array for key, array in arrays.items()}
        fetches = {key: info.name for key, info in signature.outputs.items()}
        try:
            return self.session.run(fetches, fed)
        except (tf.errors.OpError, ValueError) as error:
            raise invalid(str(error)) from error

    def predict_merged(self, name, requests, allowed_batch_sizes, padded=False):
        """Answers of several requests that batching put together.

        Args:
          name: of the signature.
          requests: [{input: array}].
          allowed_batch_sizes: to the next of which the batch is filled up.
          padded: pad_variable_length_inputs: shorter tensors are filled with their own first value.
        """
        counts = [len(next(iter(one.values()))) for one in requests]
        total = sum(counts)
        size = min((one for one in allowed_batch_sizes if one >= total), default=total)
        merged = {}
        for key in requests[0]:
            tensors = [one[key] for one in requests]
            if any(len(tensor) != count for tensor, count in zip(tensors, counts)):
                raise invalid(f"{key}: batch sizes of the inputs differ")
            if len({tensor.shape[1:] for tensor in tensors}) > 1:
                if not padded:
                    raise Refused(412, "FAILED_PRECONDITION", f"Tensors with name {key!r} from "
                                  "different tasks have different shapes and padding is turned off")
                longest = np.max([tensor.shape for tensor in tensors], 0)[1:]
                tensors = [np.pad(tensor, [(0, 0), *((0, more) for more in longest
                                                     - tensor.shape[1:])],
                                  constant_values=tensor.ravel()[0]) for tensor in tensors]
            tensors += [tensors[-1][:1]] * (size - total)
            merged[key] = np.concatenate(tensors)
        answer = self.predict(name, merged)
        for key, value in answer.items():
            if value.ndim == 0 or len(value) != size:
                raise Refused(412, "FAILED_PRECONDITION", f"Batched output tensor {key} has 0th "
                              f"dimension {value.shape} and not {size}")
        ends = np.cumsum(counts)
        return [{key: value[end - count:end] for key, value in answer.items()}
                for end, count in zip(ends, counts)]


def arrays_of(tensors):
    """{key: array} of a map of serialized tensors."""
    return {key: tf.make_ndarray(tf.make_tensor_proto(0).FromString(data))
            for key, data in tensors.items()}


# JSON -------------------------------------------------------------------------------------------


def of_json(model, body):
    """(name of the signature, {input: array}, "instances" or "inputs") of the body of a request."""
    try:
        asked = json.loads(body.decode("utf-8"))
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(asked, dict) or ("instances" in asked) == ("inputs" in asked):
        raise invalid("Missing 'inputs' or 'instances' key")
    name = asked.get("signature_name", "")
    infos = model.signature(name).inputs
    if "inputs" in asked:
        given = asked["inputs"]
        if not isinstance(given, dict) or set(given) == {"b64"}:
            given = {next(iter(infos)): given}
        missing = set(infos) - set(given)
        if missing:
            raise invalid(f"Missing named input: {missing} in 'inputs' object.")
        return name, {key: tensor(given[key], infos[key].dtype) for key in infos}, "inputs"
    rows = asked["instances"]
    if not isinstance(rows, list) or not rows:
        raise invalid("No values in 'instances' array")
    if not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}:
        if len(infos) > 1:
            raise invalid("instances is a plain list, but expecting list of objects")
        rows = [{next(iter(infos)): row} for row in rows]
    for place, row in enumerate(rows):
        if set(row) != set(infos):
            raise invalid(f"Failed to process element: {place} of 'instances' list. Keys must be "
                          f"equal to: {sorted(infos)}")
    return name, {key: tensor([row[key] for row in rows], infos[key].dtype)
                  for key in infos}, "instances"


def tensor(value, number):
    """A JSON value as a tensor: no number becomes a string, no fraction an integer."""
    dtype, leaves, shape = tf.as_dtype(number), [], []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None

    def walk(one, depth):
        if isinstance(one, list):
            if depth >= len(shape) or len(one) != shape[depth]:
                raise invalid(f"Encountered list at unexpected size: {len(one)} at level: {depth}")
            for each in one:
                walk(each, depth + 1)
        elif depth != len(shape):
            raise invalid(f"JSON Value: {one} found at incorrect level")
        else:
            leaves.append(leaf(one, dtype))

    walk(value, 0)
    array = np.empty(len(leaves), object if dtype == tf.string else dtype.as_numpy_dtype)
    array[:] = leaves
    return array.reshape(shape)


def leaf(value, dtype):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if dtype == tf.string and isinstance(value, str):
        return value.encode("utf-8")
    if dtype == tf.string and isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if dtype in (tf.float32, tf.float64) and is_number:
        if isinstance(value, int) and abs(value) >= 2 ** (24 if dtype == tf.float32 else 53):
            raise invalid(f"Cannot convert JSON value: {value} without loss of precision.")
        return value
    if dtype.is_integer and is_number and isinstance(value, int):
        return value
    if dtype == tf.bool and isinstance(value, bool):
        return value
    raise invalid(f"JSON Value: {value!r} is not of expected type: {dtype.name}")


def as_json(answer, form):
    """The body of an answer, strings as the bytes that they are."""
    values = {key: plain(array.tolist()) for key, array in answer.items()}
    if form == "inputs":
        said = {"outputs": values if len(values) > 1 else next(iter(values.values()))}
    else:
        counts = {len(array) if array.ndim else None for array in answer.values()}
        if len(counts) != 1 or None in counts:
            raise invalid("Tensor has inconsistent batch size")
        rows = [dict(zip(values, one)) for one in zip(*values.values())]
        said = {"predictions": rows if len(values) > 1 else
                [next(iter(row.values())) for row in rows]}
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogateescape")


def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


# Servers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def rest(model):
    """http://HOST:PORT/v1/models/NAME of a running server."""
    own = f"/v1/models/{model.name}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.path not in (f"{own}:predict", f"{own}/versions/{model.version}:predict"):
                    raise Refused(404, "NOT_FOUND", f"Servable not found for request: {self.path}")
                name, arrays, form = of_json(model, body)
                self.answer(200, as_json(model.predict(name, arrays), form))
            except Refused as error:
                self.answer(error.status, json.dumps({"error": str(error)}).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{own}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def grpc_service(model):
    """grpc://HOST:PORT/NAME of a running PredictionService."""
    import grpc

    def predict(data, context):
        request = messages("PredictRequest").FromString(data)
        spec = request.model_spec
        try:
            if spec.name != model.name or spec.HasField("version") and (
                    spec.version.value != model.version):
                raise Refused(404, "NOT_FOUND", f"Servable not found for request: {spec}")
            answer = model.predict(spec.signature_name, sent(request.inputs))
        except Refused as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        response = messages("PredictResponse")()
        for key, array in answer.items():
            put(response.outputs, key, tf.make_tensor_proto(array))
        return response.SerializeToString()

    handler = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {
        "Predict": grpc.unary_unary_rpc_method_handler(predict)})
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}/{model.name}"
    finally:
        server.stop(None).wait()


def messages(name):
    """The message of tensorflow-serving-api where that is installed, else the project's own."""
    try:
        from tensorflow_serving.apis import predict_pb2
    except ImportError:
        return serving_messages.message(name)
    return getattr(predict_pb2, name)


def sent(tensors):
    return {key: tf.make_ndarray(value) if not isinstance(value, bytes)
            else arrays_of({key: value})[key] for key, value in tensors.items()}


def put(tensors, key, proto):
    if hasattr(tensors[key], "CopyFrom"):
        tensors[key].CopyFrom(proto)
    else:
        tensors[key] = proto.SerializeToString()
