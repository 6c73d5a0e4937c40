"""Inputs of every kind: what is read equals what was written, and what is broken costs itself."""

import csv
import gzip
import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import RecordError
from ig_tf.run import artifact, fields, images, sources, tfrecords

MODELS = pathlib.Path(__file__).resolve().parent.parent / "saved_models"
ROWS = [{"id": f"r{number}", "x": number / 2, "text": text}
        for number, text in enumerate(["a", "ü", 'quote " and, comma', "line\nbreak", ""])]


def as_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def tfrecord(path, raws, compressed=False):
    options = tf.io.TFRecordOptions(compression_type="GZIP" if compressed else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for raw in raws:
            writer.write(raw)
    return path


def values(named):
    return [item.values() for source in sources.find(named) for item in source.items()]


def outcomes(named):
    """Values, or what was said in their place."""
    found = []
    for source in sources.find(named):
        for item in source.items():
            try:
                found.append(item.values())
            except RecordError as error:
                found.append(str(error))
    return found


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "csv.gz"])
def test_text_files(tmp_path, ending):
    data = as_jsonl(ROWS) if "jsonl" in ending else as_csv(ROWS)
    file = tmp_path / f"rows.{ending}"
    file.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    found = values(file)
    assert [(row["id"], float(row["x"]), row["text"]) for row in found] == [
        tuple(row.values()) for row in ROWS]


def test_parquet_keeps_types_and_lists(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"id": 2**60 + 1, "x": [0.5, 1.5], "words": ["ü", ""], "raw": b"\xff", "none": None},
            {"id": 7, "x": [], "words": [], "raw": b"", "none": 1}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == rows


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(RecordError, match=r"pip install pyarrow"):
        values(tmp_path / "rows.parquet")


def test_files_patterns_and_folders_in_order(tmp_path):
    for name, part in (("b-1.jsonl", ROWS[2:]), ("b-0.jsonl", ROWS[:2])):
        (tmp_path / name).write_bytes(as_jsonl(part))
    (tmp_path / "_SUCCESS").write_text("{}")
    (tmp_path / "notes.txt").write_text("no data")
    both = [str(tmp_path / "b-0.jsonl"), str(tmp_path / "b-1.jsonl")]
    for named in (tmp_path, f"{tmp_path}/b-*.jsonl", both, ",".join(both)):
        assert values(named) == ROWS
    assert values(both[::-1]) == ROWS[2:] + ROWS[:2]
    with pytest.raises(RecordError, match="more than once"):
        sources.find([tmp_path, both[0]])
    with pytest.raises(RecordError, match="no input file"):
        sources.find(f"{tmp_path}/c-*.jsonl")


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz", "data_tfrecord-00000-of-00001.gz"])
def test_tfrecords_are_handed_on_as_they_are(tmp_path, name):
    """Records of any kind, also tf.SequenceExample; more than TensorFlow hands over at once."""
    sequence = tf.train.SequenceExample()
    sequence.feature_lists.feature_list["t"].feature.add().int64_list.value.append(3)
    raws = [sequence.SerializeToString(), b"", *(b"%d" % n for n in range(300))]
    tfrecord(tmp_path / name, raws, name.endswith("gz"))
    assert values(tmp_path / name) == [{None: raw} for raw in raws]


def frames(raws, path):
    """(bytes of a TFRecord file, where each record starts)."""
    starts, data = [], b""
    for number in range(len(raws) + 1):
        data = tfrecord(path, raws[:number]).read_bytes()
        starts.append(len(data))
    return data, starts


RAWS = [b"first", b"second", b"third" * 50, b"", b"fifth"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("broken", range(5))
def test_a_corrupt_record_costs_itself(tmp_path, broken, compressed):
    data, starts = frames(RAWS, tmp_path / "whole")
    place = starts[broken] + 12 if RAWS[broken] else starts[broken + 1] - 1
    data = data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]
    file = tmp_path / "a.tfrecord"
    file.write_bytes(gzip.compress(data) if compressed else data)
    found = outcomes(file)
    assert f"after record {broken}" in found[broken] and "checksum" in found[broken]
    assert found[:broken] + found[broken + 1:] == [
        {None: raw} for number, raw in enumerate(RAWS) if number != broken]


def test_a_corrupt_length_or_a_cut_ends_the_file(tmp_path):
    data, starts = frames(RAWS, tmp_path / "whole")
    file = tmp_path / "a.tfrecord"
    for wrong in (data[:starts[2]] + b"\xff" + data[starts[2] + 1:], data[:starts[2] + 5],
                  data[:starts[2] + 40]):
        file.write_bytes(wrong)
        found = outcomes(file)
        assert found[:2] == [{None: RAWS[0]}, {None: RAWS[1]}]
        assert len(found) == 3 and "after record 2" in found[2]


def test_the_checksum_is_the_one_of_the_format(tmp_path):
    """Files that TensorFlow wrote pass through the reader that takes over after a broken record."""
    raws = [bytes(range(256)) * 3, b"x"]
    tfrecord(tmp_path / "a.tfrecord", raws)
    found = list(tfrecords._past_what_is_broken(str(tmp_path / "a.tfrecord"), 0))
    assert [item.values() for item in found] == [{None: raw} for raw in raws]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tfrecord"])
def test_a_truncated_gzip_gives_what_it_has(tmp_path, ending):
    many = [{"id": str(number), "x": str(np.sin(number))} for number in range(4000)]
    if ending == "tfrecord":
        tfrecord(tmp_path / "whole", [json.dumps(row).encode() for row in many])
        data = (tmp_path / "whole").read_bytes()
    else:
        data = as_jsonl(many) if ending == "jsonl" else as_csv(many)
    packed = gzip.compress(data)
    (tmp_path / f"a.{ending}.gz").write_bytes(packed[:len(packed) // 2])
    *good, last = outcomes(tmp_path / f"a.{ending}.gz")
    wanted = many if ending != "tfrecord" else [{None: json.dumps(row).encode()} for row in many]
    assert good == wanted[:len(good)] and 500 < len(good) < 4000
    assert isinstance(last, str) and "read further" in last or "decompressed" in last


def test_broken_lines_cost_themselves(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"x": 1}\n{"x": \n\n[1]\n{"x": "\xff"}\n'
                                       + b"[" * 100000 + b'\n{"x": 2}')
    found = outcomes(tmp_path / "a.jsonl")
    assert found[0] == {"x": 1} and found[-1] == {"x": 2} and len(found) == 6
    for said, text in zip(found[1:-1], ("a.jsonl:2: no JSON", "list", "UTF-8", "a.jsonl:6")):
        assert text in said
    (tmp_path / "a.csv").write_bytes(b'x,y\n1,2\n3\n"4"5,6\n\xff,7\n8,9\n' + b'"' + b"z" * 200000
                                     + b'",0\n')
    found = outcomes(tmp_path / "a.csv")
    assert found[0] == {"x": "1", "y": "2"} and found[4] == {"x": "8", "y": "9"}
    assert [type(one) for one in found[1:4]] == [str] * 3 and len(found[5]["x"]) == 200000


def test_empty_files_have_no_records(tmp_path):
    for name in ("a.jsonl", "b.csv", "c.tfrecord"):
        (tmp_path / name).write_bytes(b"")
    assert values(tmp_path) == []


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "model"
    ig_tf.save(ig_tf.instrument(ig_tf.load(MODELS / "digits_cnn"), steps=4), folder)
    return artifact.load(folder)


def test_a_folder_of_images_is_as_good_as_an_array(digits, tmp_path):
    """Pixels 0..255 as files equal the same pixels / 255 in an array; the file's name is the id."""
    from PIL import Image
    whole = np.random.default_rng(0).integers(0, 256, [3, 8, 8], np.uint8)
    for number, pixels in enumerate(whole):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    arrays = [{"image": pixels[..., None] / 255} for pixels in whole]
    found, wanted = ig_tf.attribute(digits, tmp_path), ig_tf.attribute(digits, arrays)
    assert [one.id for one in found] == ["0.png", "1.png", "2.png"]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.points[0].scores, other.points[0].scores, rtol=1e-5,
                                   atol=1e-6)
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(RecordError, match="record 3, input 'image': no image"):
        ig_tf.attribute(digits, tmp_path)


@pytest.mark.parametrize("shape, dtype, wanted", [
    ([None, 4, 6, 3], "float32", (4, 6, 3)), ([None, 3, 4, 6], "float32", (3, 4, 6)),
    ([None, None, None, 3], "uint8", (2, 5, 3)), ([None, 4, 6], "float16", (4, 6)),
    ([None, None, None, None], "float32", (2, 5, 3)), ([None, 4, 6, 1], "int32", (4, 6, 1))])
def test_images_take_the_form_of_the_input(shape, dtype, wanted):
    from PIL import Image
    file = io.BytesIO()
    Image.new("RGB", (5, 2), (255, 255, 255)).save(file, "png")
    found = images.pixels(file.getvalue(), tf.TensorSpec(shape, dtype), 0, "here", (-1.0, 1.0))
    assert found.shape == wanted and found.dtype == dtype
    assert np.all(found == (255 if np.dtype(dtype).kind in "iu" else 1))


def test_an_input_that_takes_no_images():
    with pytest.raises(RecordError, match="takes no images"):
        images.pixels(b"", tf.TensorSpec([None, 7], "float32"), 0, "here")


def test_columns_of_other_names(digits, tmp_path):
    picture = np.random.default_rng(0).random([8, 8, 1])
    file = tmp_path / "rows.jsonl"
    file.write_bytes(as_jsonl([{"pixels": picture.tolist(), "key": "k7"}]))
    found, = ig_tf.attribute(digits, file, columns=fields.columns_of(["image=pixels", "id=key"]))
    wanted, = ig_tf.attribute(digits, [{"image": picture}])
    assert found.id == "k7" and found.features == wanted.features and "pixels" not in found.inputs
    with pytest.raises(RecordError, match="no column 'pixel'; it has pixels, key"):
        ig_tf.attribute(digits, file, columns={"image": "pixel"})
    with pytest.raises(RecordError, match="no input 'picture'; it takes image"):
        ig_tf.attribute(digits, file, columns={"picture": "pixels"})
    for pairs in (["image"], ["=a"], ["a=b", "a=c"]):
        with pytest.raises(RecordError, match="--columns"):
            fields.columns_of(pairs)
