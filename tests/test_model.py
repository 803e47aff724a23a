"""Models, their prototxt, their shapes and their weights."""

import shutil
import sys

import numpy as np
import pytest

import tinymodel
from dreamer import model, net, prototxt, shapes, weights
from dreamer.errors import Failure, Mistake


def googlenet_description():
    found = model.find("bvlc_googlenet")
    try:
        found.prototxt_path()
    except Failure:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    return found


def test_googlenet_has_81_keys():
    keys = googlenet_description().keys
    assert len(keys) == len(set(keys)) == 81
    assert (keys[0], keys[-1]) == ("conv1/7x7_s2", "inception_5b/output")
    assert not {"data", "pool5/7x7_s1", "loss3/classifier", "prob"} & set(keys)


def test_keys_of_a_model_are_layers_with_a_blob_before_the_classifier(tiny):
    assert tiny.keys == tinymodel.KEYS


@pytest.mark.parametrize(("name", "near"), [
    ("inception_4c/outptu", "inception_4c/output"),
    ("Inception_4c/output", "inception_4c/output"),
    ("inception_4c/relu_1x1", "inception_4c/1x1"),
    ("nothing like it", "dreamify.py keys"),
])
def test_an_unknown_layer_is_answered_with_the_nearest(name, near):
    with pytest.raises(Mistake, match=near):
        googlenet_description().layer(name)


def test_the_posts_second_example_is_taken_for_3b():
    layer, warning = googlenet_description().layer("inception_3c/output")
    assert layer == "inception_3b/output"
    assert "inception_3c/output" in warning
    assert layer in warning


def test_a_model_is_found_by_name_or_folder(tiny):
    assert model.find("bvlc_googlenet").name == "bvlc_googlenet"
    assert "bvlc_googlenet" in model.names()
    with pytest.raises(Mistake, match="bvlc_googlenet"):
        model.find("nosuch")


@pytest.mark.parametrize("line", ["mean = [1.0, 2.0]", 'channel_order = "grb"', "surprise = 1", "not toml"])
def test_a_wrong_description_is_told(tiny, tmp_path, line):
    folder = shutil.copytree(tiny.folder, tmp_path / "wrong")
    text = (folder / "model.toml").read_text().splitlines()
    kept = [old for old in text if old.split(" ")[0] != line.split(" ")[0]]
    (folder / "model.toml").write_text("\n".join([line, *kept]))
    with pytest.raises(Mistake, match="model.toml"):
        model.find(str(folder))


def test_weights_are_chosen_then_the_variables_then_the_folders(tiny, tmp_path, monkeypatch):
    assert tiny.weights_path() == tiny.folder / "tiny.caffemodel"
    other = tmp_path / "other.caffemodel"
    other.write_bytes(b"")
    monkeypatch.setenv("TINY", str(other))
    assert tiny.weights_path() == other
    assert tiny.weights_path(tiny.folder / "tiny.caffemodel") == tiny.folder / "tiny.caffemodel"
    with pytest.raises(Mistake, match="--weights"):
        tiny.weights_path("nowhere")
    monkeypatch.setenv("TINY", "nowhere")
    with pytest.raises(Mistake, match="TINY"):
        tiny.weights_path()


def test_weights_dropped_under_another_name_are_found(tiny, tmp_path):
    folder = shutil.copytree(tiny.folder, tmp_path / "tiny")
    (folder / "tiny.caffemodel").rename(folder / "at8b1105.caffemodel")
    assert model.find(str(folder)).weights_path().name == "at8b1105.caffemodel"
    (folder / "at8b1105.caffemodel").unlink()
    with pytest.raises(Failure, match="missing"):
        model.find(str(folder)).weights_path()


def test_a_folder_that_is_only_called_caffe_is_not_caffe(tiny, tmp_path, monkeypatch):
    (tmp_path / "caffe").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "caffe", raising=False)
    assert tiny.places("deploy.prototxt") == [tiny.folder / "deploy.prototxt"]


# prototxt ------------------------------------------------------------------------------------------------

def test_prototxt_agrees_with_protobufs_own_reader():
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    text = googlenet_description().prototxt_path().read_text()
    ours = text_format.Parse(prototxt.unparse(prototxt.parse(text)), caffe_pb2.NetParameter())
    assert ours == text_format.Parse(text, caffe_pb2.NetParameter())


def test_prototxt_reads_the_formats_odd_corners():
    assert prototxt.parse('a: 1 # b: 2 {\n s: { d: [1, -2.5e3] } t { u: "x } # y" } v: \'q\';') == [
        ("a", "1"), ("s", [("d", "1"), ("d", "-2.5e3")]), ("t", [("u", '"x } # y"')]), ("v", "'q'")]


@pytest.mark.parametrize(("text", "line"), [("a {", 1), ("\n\n}", 3), ("a: \n", 2), ("\na b", 2), ('a: "x\n', 1)])
def test_prototxt_tells_the_line_that_is_wrong(text, line):
    with pytest.raises(Mistake, match=f"line {line}"):
        prototxt.parse(text)


# shapes --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("height", "width"), [(224, 224), (31, 31), (97, 260), (575, 131)])
def test_shapes_are_caffes(height, width):
    found = googlenet_description()
    layers = shapes.cut(found.net, ["inception_5b/output"])
    loaded = net.load(layers)
    loaded.blobs["data"].reshape(1, 3, height, width)
    loaded.reshape()
    for blob, size in shapes.spatial(layers, height, width).items():
        assert loaded.blobs[blob].data.shape[2:] == size, blob


@pytest.mark.parametrize("layer", ["conv1/7x7_s2", "pool2/3x3_s2", "inception_3b/5x5_reduce", "inception_4c/output",
                                   "inception_5b/pool_proj"])
def test_the_smallest_side_works_and_one_less_would_not(googlenet, layer):
    small = net.Net(googlenet, layer)
    picture = np.ones((3, small.smallest_side, small.smallest_side), np.float32)
    small.budget.plan(*picture.shape[1:])
    small.resize(*picture.shape[1:])
    for tile in small.tiles(picture, 0, 0):
        [activations] = tile.forward()
        assert activations.size
        tile.backward([(1.0, activations)])
    with pytest.raises(Mistake, match="too few"):
        small.resize(small.smallest_side - 1, 300)


def test_a_cut_keeps_what_the_layer_needs_and_no_more():
    kept = [prototxt.value(layer, "name") for layer in
            shapes.cut(googlenet_description().net, ["inception_3a/5x5_reduce"])]
    assert kept == ["data", "conv1/7x7_s2", "conv1/relu_7x7", "pool1/3x3_s2", "pool1/norm1", "conv2/3x3_reduce",
                    "conv2/relu_3x3_reduce", "conv2/3x3", "conv2/relu_3x3", "conv2/norm2", "pool2/3x3_s2",
                    "inception_3a/5x5_reduce"]


# weights -------------------------------------------------------------------------------------------------

def loaded(tiny):
    return net.load(shapes.cut(tiny.net, ["mix/output"]))


def test_weights_that_fit_pass(tiny):
    weights.check(tiny.weights_path(), loaded(tiny))


@pytest.mark.parametrize("damage", ["cut short", "noise", "empty", "another net", "a layer less", "numbers missing"])
def test_weights_that_do_not_fit_are_told_and_do_not_abort(tiny, tmp_path, damage):
    from caffe.proto import caffe_pb2
    raw = tiny.weights_path().read_bytes()
    message = caffe_pb2.NetParameter.FromString(raw)
    convolutions = [layer for layer in message.layer if layer.blobs]
    if damage == "another net":
        convolutions[1].blobs[0].shape.dim[0] = 3
        del convolutions[1].blobs[0].data[3 * 8:]
    elif damage == "a layer less":
        message.layer.remove(convolutions[0])
    elif damage == "numbers missing":
        del convolutions[0].blobs[0].data[-1]
    bad = tmp_path / "bad.caffemodel"
    bad.write_bytes({"cut short": raw[:-7], "noise": np.random.RandomState(0).bytes(3000), "empty": b""}.get(
        damage, message.SerializeToString()))
    with pytest.raises(Mistake, match=r"bad\.caffemodel"):
        weights.check(bad, loaded(tiny))


def test_weights_in_the_format_of_2014_are_read(tiny, tmp_path):
    from caffe.proto import caffe_pb2
    message = caffe_pb2.NetParameter.FromString(tiny.weights_path().read_bytes())
    old = caffe_pb2.NetParameter()
    for layer in message.layer:
        if layer.blobs:
            entry = old.layers.add(name=layer.name)
            for blob in layer.blobs:
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                entry.blobs.add(num=shape[0], channels=shape[1], height=shape[2], width=shape[3], data=blob.data)
    file = tmp_path / "old.caffemodel"
    file.write_bytes(old.SerializeToString())
    weights.check(file, loaded(tiny))


def test_preprocessing_follows_the_models_mean_and_order(tiny):
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    ours = net.Net(tiny, "conv1")
    data = ours.preprocess(image)
    assert data.dtype == np.float32
    assert np.array_equal(data[0], np.float32(image[..., 0]) - tinymodel.MEAN[0])  # rgb
    assert np.array_equal(ours.deprocess(data), image)
