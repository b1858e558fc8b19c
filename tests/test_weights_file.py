"""Published weights, read and checked."""

import hashlib
import json
import struct

import pytest

from lab1.core import weights_file
from lab1.errors import WeightsError

TENSORS = [("b", "F32", [2], struct.pack("<2f", 1.0, 2.0)), ("a", "I64", [], struct.pack("<q", 7))]


def encoded(tensors=TENSORS, run="0" * 16, sha256=None, **more):
    """A safetensors file, made by hand from the format's description."""
    header, data = {}, b""
    for name, kind, shape, content in tensors:
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
        data += content
    sha256 = weights_file.digest(tensors) if sha256 is None else sha256
    header["__metadata__"] = {"run": run, "sha256": sha256, **more}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "weights.safetensors"
        path.write_bytes(content)
        return path

    return write


def test_a_whole_file_is_read_whose_digest_is_of_names_types_shapes_and_bytes(written):
    text = b'["a", "I64", []]\n' + TENSORS[1][3] + b'["b", "F32", [2]]\n' + TENSORS[0][3]
    assert weights_file.digest(TENSORS) == hashlib.sha256(text).hexdigest()
    assert weights_file.digest(TENSORS[::-1]) == weights_file.digest(TENSORS)
    file = weights_file.read(written(encoded()))
    assert (file.run, file.sha256) == ("0" * 16, weights_file.digest(TENSORS))
    assert file.content == encoded()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        *((encoded()[:length], "truncated") for length in (0, 4, 8, 30, 150, -1, -9)),
        (b"no weights at all", "no file of weights"),
        (encoded() + b"x", "not fully covered"),
        (encoded([(*TENSORS[0][:3], b"x" * 9), TENSORS[1]]), "invalid shape"),
        (encoded().replace(b'"data_offsets": [0, 8]', b'"data_offsets": [8, 0]'), "offset"),
        (b"\xff" * 100, "header too large"),
        ((200_000).to_bytes(8, "little") + b"[" * 200_000, "no file of weights"),
        ((4).to_bytes(8, "little") + b"\xff\xfe{}", "invalid UTF-8"),
        ((2).to_bytes(8, "little") + b"{}", "__metadata__ lacks sha256"),
        ((22).to_bytes(8, "little") + b'{"__metadata__": null}', "__metadata__ = None"),
        (encoded(sha256=""), "is damaged"),
        (encoded()[:-1] + b"\1", "is damaged: the SHA-256"),
        (encoded(run=7), "integer `7`, expected a string"),
    ],
)
def test_a_file_of_another_form_is_told_with_what_is_wrong(written, content, why):
    path = written(content)
    with pytest.raises(WeightsError, match=f"^{path}: .*{why}.*git checkout.*delete it and train"):
        weights_file.read(path)
    path.unlink()
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        weights_file.read(path)


def test_a_sorted_header_holds_the_same_tensors(written):
    one, other = encoded(a="1", z="2"), encoded(z="2", a="1")
    assert one != other
    assert weights_file.with_sorted_header(one) == weights_file.with_sorted_header(other)
    again = weights_file.with_sorted_header(one)
    assert weights_file.read(written(again)).sha256 == weights_file.digest(TENSORS)
    assert int.from_bytes(again[:8], "little") % 8 == 0
    assert weights_file.with_sorted_header(again) == again


def test_weights_count_once_their_run_has_finished_and_until_it_is_trained_again(
    store, make_record
):
    record = make_record()
    old, own = (store.run_dir(record.spec) / f"weights.{end}" for end in ("pt", "safetensors"))
    own.parent.mkdir(parents=True)
    own.write_bytes(b"weights of some epoch")
    assert weights_file.find(record.spec, store) is None
    store.write(record)
    old.write_bytes(b"of an earlier version")
    assert weights_file.find(record.spec, store) == own
    own.unlink()
    assert weights_file.find(record.spec, store) == old
    public = weights_file.published(record.spec, store)
    assert public == store.results / f"{record.name}.safetensors"
    store.promote(record)
    public.write_bytes(encoded())
    assert weights_file.find(record.spec, store) == public
    old.unlink()
    store.write(make_record(accuracy=0.5))
    assert weights_file.find(record.spec, store) is None


def test_absent_weights_are_told_with_the_remedy(store, make_record):
    record = make_record()
    words = weights_file.absence(record.spec, store, "they are wanted")
    assert "or train it here, with save_weights" in words
    assert "weights.safetensors: the weights of MLP, 2 layers" in words
    store.write(record)
    words = weights_file.absence(record.spec, store, "they are wanted")
    assert f"or train it once more: python -m lab1 run --again {record.key}" in words
    assert f"{record.name}.safetensors, and they are wanted; copy them from where" in words
