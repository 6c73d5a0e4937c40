"""TensorFlow Hub: modules of the first format, archives, handles from a server and from the cache.

The module is written as tensorflow_hub wrote it with TensorFlow 1.15: MetaGraphs tagged [] and
["train"] without a saver, variables beside them, the vocabulary as an asset, tables filled by the
collection of initializers only, and tfhub_module.pb.
"""

import functools
import http.server
import os
import pathlib
import shutil
import socket
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

import ig_tf
from ig_tf.errors import ArtifactError, SignatureError
from ig_tf.model import hub
from tests import builders

v1 = tf.compat.v1
WORDS = ("plum", "apple", "fig")
TABLE = np.arange(8, dtype=np.float32).reshape(4, 2) / 4


@pytest.fixture(name="module", scope="module")
def fixture_module(tmp_path_factory):
    """A text embedding: words [batch, 3] to one number for each example."""
    folder = tmp_path_factory.mktemp("hub") / "module"
    (folder / "assets").mkdir(parents=True)
    (folder / "assets/tokens.txt").write_text("\n".join(WORDS) + "\n")
    proto = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    for tags in ([], ["train"]):
        with tf.Graph().as_default(), v1.Session() as session:
            info, saver = module_graph(folder)
            meta_graph = v1.train.export_meta_graph(strip_default_attrs=True)
            meta_graph.meta_info_def.tags.extend(tags)
            meta_graph.signature_def["default"].CopyFrom(info)
            meta_graph.ClearField("saver_def")
            asset = meta_graph_pb2.AssetFileDef(filename="tokens.txt")
            asset.tensor_info.name = "asset_path:0"
            packed = any_pb2.Any()
            packed.Pack(asset)
            meta_graph.collection_def["saved_model_assets"].any_list.value.append(packed)
            proto.meta_graphs.append(meta_graph)
            if not tags:
                session.run(v1.global_variables_initializer())
                saver.save(session, str(folder / "variables/variables"), write_meta_graph=False,
                           write_state=False)
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")  # ModuleDef with format FORMAT_V3
    return folder


def module_graph(folder):
    words = v1.placeholder(tf.string, [None, 3], "words")
    v1.placeholder(tf.float32, [None], "unused")
    path = tf.constant(str(folder / "assets/tokens.txt"), name="asset_path")
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
    lines = tf.lookup.TextFileInitializer(path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                                          tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    ids = tf.lookup.StaticHashTable(lines, 3).lookup(words)
    vectors = tf.nn.embedding_lookup(v1.get_variable("table", initializer=TABLE), ids)
    score = tf.reduce_sum(tf.tanh(vectors), [1, 2], name="score")
    signature = v1.saved_model.predict_signature_def({"text": words}, {"default": score})
    return signature, v1.train.Saver()


SENT = np.array([["plum", "fig", "unknown"], ["apple", "apple", "apple"]], object)
IDS = np.array([[0, 2, 3], [1, 1, 1]])


def answered(path):
    """Checks the attributions of an instrumented module against their closed form."""
    answer = builders.open_v2_of_tags(path, [])(text=SENT)
    np.testing.assert_allclose(answer["prediction"], np.tanh(TABLE[IDS]).sum((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(answer["attributions/text"], np.tanh(TABLE[IDS]).sum(2), rtol=1e-5)


def instrumented(source, output, **choices):
    model = ig_tf.load(source, **choices)
    ig_tf.save(ig_tf.instrument(model, steps=40), output)
    return model


def test_a_module_of_the_first_format(module, tmp_path):
    """Tags [] and the signature `default` are taken without asking."""
    model = instrumented(module, tmp_path / "out")
    assert model.tags == () and model.signature_name == "default"
    assert any("first format" in note for note in model.chosen)
    assert (tmp_path / "out/tfhub_module.pb").exists()
    answered(tmp_path / "out")


def test_attribute_reads_what_has_no_tags(module, tmp_path):
    """Two MetaGraphs, one of them without tags: the runner asks for that one."""
    instrumented(module, tmp_path / "out")
    found = ig_tf.attribute(str(tmp_path / "out"), [{"text": row} for row in SENT.tolist()])
    np.testing.assert_allclose([result.prediction for result in found],
                               np.tanh(TABLE[IDS]).sum((1, 2)), rtol=1e-6)


def test_the_other_variant_can_be_named(module):
    assert ig_tf.load(module, tags=["train"]).tags == ("train",)
    with pytest.raises(SignatureError, match="--tags"):
        ig_tf.load(module, tags=["serve"])


@pytest.fixture(name="archives", scope="module")
def fixture_archives(module):
    """The module as archives, its files at the top or in one folder."""
    folder = module.parent / "archives"
    folder.mkdir()
    for name, top in (("flat.tar.gz", "."), ("nested.tgz", "nnlm/1")):
        with tarfile.open(folder / name, "w:gz") as archive:
            archive.add(module, top)
    shutil.copy(folder / "flat.tar.gz", folder / "3")  # handles end in a version number
    return folder


@pytest.mark.parametrize("name", ["flat.tar.gz", "nested.tgz", "3"])
def test_an_archive(archives, tmp_path, name):
    model = instrumented(archives / name, tmp_path / "out")
    answered(tmp_path / "out")
    assert any("archive" in note for note in model.chosen)
    unpacked = pathlib.Path(next(iter(model.files.values())))
    assert unpacked.exists()
    del model
    assert not unpacked.exists()


@pytest.mark.parametrize("change, words", [
    (lambda data: data[:len(data) // 2], "no archive of a model"),
    (lambda data: b"\x1f\x8b" + b"0" * 30, "no archive of a model")])
def test_an_archive_that_was_cut_off(archives, tmp_path, change, words):
    path = tmp_path / "module.tar.gz"
    path.write_bytes(change((archives / "flat.tar.gz").read_bytes()))
    with pytest.raises(ArtifactError, match=words):
        ig_tf.load(path)


def test_an_archive_that_points_outside(tmp_path):
    (tmp_path / "file").write_text("x")
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "file", "../../escaped")
    with pytest.raises(ArtifactError, match="no archive of a model"):
        ig_tf.load(tmp_path / "evil.tar.gz")
    assert not (tmp_path.parent / "escaped").exists()


@pytest.fixture(name="server")
def fixture_server(archives, monkeypatch, tmp_path):
    """The archives over HTTP, and an empty cache of tensorflow_hub."""
    pytest.importorskip("tensorflow_hub", reason="tensorflow_hub is not installed")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(archives))
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server, f"http://localhost:{server.server_address[1]}/3"
        server.shutdown()


def test_a_handle_is_downloaded_once_and_then_cached(server, tmp_path):
    server, handle = server
    model = instrumented(handle, tmp_path / "out")
    assert handle in model.chosen[0] and str(tmp_path / "cache") in model.chosen[0]
    answered(tmp_path / "out")
    server.shutdown()
    server.server_close()
    assert ig_tf.load(handle).signature_name == "default"


def test_a_handle_that_nobody_serves(server):
    _, handle = server
    with pytest.raises(ArtifactError) as caught:
        ig_tf.load(handle + "/none")
    message = str(caught.value)
    assert handle + "/none" in message and "404" in message
    assert "TFHUB_CACHE_DIR" in message and ".tar.gz" in message


def test_a_host_that_is_not_there(monkeypatch, tmp_path):
    pytest.importorskip("tensorflow_hub", reason="tensorflow_hub is not installed")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    with pytest.raises(ArtifactError, match="cannot be reached"):
        ig_tf.load("https://localhost:9/google/nnlm-en-dim50/2")


def test_a_server_that_never_answers(monkeypatch, tmp_path):
    """The wait has an end; the time limit of other sockets is not touched."""
    pytest.importorskip("tensorflow_hub", reason="tensorflow_hub is not installed")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(hub, "SILENCE_SECONDS", 0.5)
    before = socket.getdefaulttimeout()
    with socket.socket() as silent:
        silent.bind(("localhost", 0))
        silent.listen()
        with pytest.raises(ArtifactError, match="cannot be reached"):
            ig_tf.load(f"http://localhost:{silent.getsockname()[1]}/model/1")
    assert socket.getdefaulttimeout() == before


def test_a_module_of_the_second_format(tmp_path):
    """A SavedModel of TensorFlow 2 in an archive is read as any other."""
    builders.save_tf2(tmp_path / "model", lambda x, w: tf.reduce_sum(w * x ** 2, 1),
                      {"x": builders.spec([None, 2])}, {"w": np.array([1.0, 2.0])})
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "model", ".")
    ig_tf.save(ig_tf.instrument(ig_tf.load(tmp_path / "model.tar.gz"), steps=4), tmp_path / "out")
    answer = builders.open_v2(tmp_path / "out")(x=[[1.0, 3.0]])
    np.testing.assert_allclose(answer["attributions/x"], [[1, 18]])
    assert os.path.exists(tmp_path / "out/variables/variables.index")
