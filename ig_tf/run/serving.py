"""An instrumented model that a server answers for: TensorFlow Serving, by REST or by gRPC.

    loaded = serving.load("my_model_ig/3", "grpc://localhost:8500/my_model")
    results = ig_tf.attribute(loaded, "rows.csv")

The folder says what the model takes and gives (only saved_model.pb and the record are read); the
numbers come from the server.
"""

import dataclasses
import functools
import http.client
import json
import os
import re
import urllib.error
import urllib.request

from ig_tf.errors import ArtifactError, RecordError, ServerError
from ig_tf.run import artifact as artifacts
from ig_tf.run import serving_json, serving_messages, sparse

SECONDS = 60.0  # for one answer
_ADDRESS = re.compile(r"grpc://(?P<host>[^/]+:\d+)/(?P<model>[^/]+)(/(?P<version>\d+))?/?")
_WANTED = ("http://HOST:PORT/v1/models/NAME (or https://; /versions/N for one version) or "
           "grpc://HOST:PORT/NAME (/N)")


def load(folder, server, seconds=SECONDS):
    """An `Artifact` whose numbers come from a server.

    Args:
      folder: the directory that was exported and that the server has.
      server: http://HOST:PORT/v1/models/NAME[/versions/N] or grpc://HOST:PORT/NAME[/N].
      seconds: that one answer may take.

    Raises:
      ArtifactError: the folder is no instrumented SavedModel.
      ServerError: no such kind of server.
    """
    folder, metadata = os.fspath(folder), artifacts.read_metadata(folder)
    asked = connect(server, seconds)
    signatures = _signatures(folder, metadata["source"]["tags"])
    names = [artifacts.SIGNATURE] + ([metadata["custom"]["signature"]]
                                     if "custom" in metadata else [])
    main, *custom = (_artifact(folder, metadata, asked, name, signatures[name]) for name in names)
    return dataclasses.replace(main, custom=custom[0]) if custom else main


def connect(server, seconds=SECONDS):
    """A `Rest` or a `Grpc`.

    Raises:
      ServerError: the text names neither.
    """
    if re.fullmatch(r"https?://[^/]+(/.*)?/v1/models/[^/:]+(/(versions|labels)/[^/:]+)?/?", server):
        return Rest(server.rstrip("/"), seconds)
    found = _ADDRESS.fullmatch(server)
    if not found:
        raise ServerError(f"{server!r} names no server; expected {_WANTED}.")
    version = found["version"]
    return Grpc(found["host"], found["model"], None if version is None else int(version), seconds)


@dataclasses.dataclass(frozen=True)
class Rest:
    """A model behind TensorFlow Serving's REST interface.

    Attributes:
      url: http://HOST:PORT/v1/models/NAME[/versions/N].
      seconds: that one answer may take.
    """

    url: str
    seconds: float = SECONDS

    def predict(self, signature, arrays, outputs):
        """{output: array} of {input: array}; `outputs` are {output: name of its type}.

        Raises:
          RecordError: the server refuses these values.
          ServerError: anything else.
        """
        body = self._said(f"{self.url}:predict", serving_json.columns(arrays, signature))
        return serving_json.answer(body, outputs)

    def _said(self, url, body):
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=self.seconds) as stream:
                return stream.read()
        except urllib.error.HTTPError as error:
            reason = _reason(error.read())
            if error.code == 400:
                raise RecordError(f"{url} refuses the request: {reason}") from error
            raise ServerError(f"{url} answers {error.code}: {reason}{_advice(error.code)}"
                              ) from error
        except TimeoutError as error:
            raise ServerError(f"{url} did not answer in {self.seconds:g} s: larger batches take "
                              "longer (--batch_size), and so do first requests without warm-up."
                              ) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise ServerError(f"{url} did not answer in {self.seconds:g} s.") from error
            raise ServerError(f"{url} cannot be reached: {reason}. Is the server up, and is this "
                              "its REST port (--rest_api_port, often 8501)?") from error


@dataclasses.dataclass(frozen=True)
class Grpc:
    """A model behind TensorFlow Serving's PredictionService.

    Attributes:
      host: HOST:PORT.
      model: name under which the server has it.
      version: a number, or None for the newest.
      seconds: that one answer may take.
    """

    host: str
    model: str
    version: object = None
    seconds: float = SECONDS

    def predict(self, signature, arrays, outputs):
        """As `Rest.predict`."""
        import grpc
        asked = serving_messages.request(arrays, signature, self.model, self.version)
        try:
            response = self._call(asked, timeout=self.seconds)
        except grpc.RpcError as error:
            code, reason = error.code().name, error.details()
            if code == "INVALID_ARGUMENT":
                raise RecordError(f"{self.host} refuses the request: {reason}") from error
            raise ServerError(f"{self.host}, model {self.model!r}: {code}: {reason}{_advice(code)}"
                              ) from error
        found = serving_messages.answers(response)
        missing = sorted(set(outputs) - set(found))
        if missing:
            raise ServerError(f"{self.host}, model {self.model!r}: the answer lacks "
                              f"{', '.join(missing[:5])}: the server has another model, or another "
                              "version of it, than the folder.")
        return {key: found[key] for key in outputs}

    @functools.cached_property
    def _call(self):
        try:
            import grpc
        except ImportError as error:
            raise ServerError("gRPC needs the package grpcio: pip install grpcio, or use "
                              "http://.") from error
        channel = grpc.insecure_channel(self.host, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        return channel.unary_unary(
            serving_messages.PREDICT,
            request_serializer=lambda asked: asked.SerializeToString(),
            response_deserializer=serving_messages.message("PredictResponse").FromString)


def _artifact(folder, metadata, server, name, signature):
    import tensorflow as tf
    specs = {key: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), key)
             for key, info in sorted(signature.inputs.items())}
    outputs = {key: tf.as_dtype(info.dtype).name for key, info in signature.outputs.items()}

    def function(**tensors):
        arrays = {key: value.numpy() for key, value in tensors.items()}
        found = server.predict(name, arrays, outputs)
        return {key: tf.constant(array.tolist() if array.dtype == object else array,
                                 shape=array.shape) for key, array in found.items()}

    return artifacts.Artifact(folder, metadata, sparse.specs(specs, metadata.get(
        "sparse_inputs", {})), function, server, outputs=outputs)


def _signatures(folder, tags):
    """{name: SignatureDef} of the exported MetaGraph."""
    from google.protobuf import message
    from tensorflow.core.protobuf import saved_model_pb2
    path = os.path.join(folder, "saved_model.pb")
    try:
        with open(path, "rb") as stream:
            proto = saved_model_pb2.SavedModel.FromString(stream.read())
    except (OSError, message.DecodeError) as error:
        raise ArtifactError(f"cannot read {path!r}: {error}") from error
    for meta_graph in proto.meta_graphs:
        if sorted(meta_graph.meta_info_def.tags) == sorted(tags):
            return dict(meta_graph.signature_def)
    raise ArtifactError(f"{path!r} has no MetaGraph with the tags {tags}.")


def _reason(body):
    """What Serving says of an error: {"error": ...}."""
    text = body.decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)
        return str(said["error"] if isinstance(said, dict) and "error" in said else said)
    except ValueError:
        return text[:300] or "no reason"


_ADVICE: dict = {
    404: "The server has no such model, version or signature: see --model_name and the version "
         "directories, and that the served version is the instrumented one",
    503: "The server is up, but not this model yet (loading, or warming up), or its queue is full "
         "(max_enqueued_batches)",
    504: "It took too long: larger batches take longer (--batch_size)",
}
_ADVICE.update(NOT_FOUND=_ADVICE[404], DEADLINE_EXCEEDED=_ADVICE[504],
               UNAVAILABLE="Is the server up, and is this its gRPC port (--port, often 8500)? "
                           "It may still be loading the model",
               UNIMPLEMENTED="What answers there is no PredictionService of TensorFlow Serving",
               FAILED_PRECONDITION="With batching, requests of different lengths share no batch: "
                                   "see the README, Behind TensorFlow Serving")


def _advice(code):
    return f". {_ADVICE[code]}." if code in _ADVICE else ""
