"""Models: their descriptions, where they are found, and their layers and weights."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path

import pytest

import tinymodel
from dreamer.errors import Failure, Mistake
from dreamer.nets import binding, model, shapes


def test_googlenet_has_81_keys(described: model.Model) -> None:
    keys = described.keys
    assert len(keys) == len(set(keys)) == 81
    assert (keys[0], keys[-1]) == ("conv1/7x7_s2", "inception_5b/output")
    assert not {"data", "pool5/7x7_s1", "loss3/classifier", "prob"} & set(keys)


def test_keys_of_a_model_are_layers_with_a_blob_before_the_classifier(tiny: model.Model) -> None:
    assert tiny.keys == tinymodel.KEYS


@pytest.mark.parametrize(("name", "near"), [
    ("inception_4c/outptu", "inception_4c/output"),
    ("inception_4c/relu_1x1", "inception_4c/1x1"),
    ("nothing like it", "dreamify.py keys"),
])
def test_an_unknown_layer_is_answered_with_the_nearest(described: model.Model, name: str, near: str) -> None:
    with pytest.raises(Mistake, match=near):
        described.layer(name)


@pytest.mark.parametrize("name", ["Inception_4c/output", "inception_4c", "4c", "mixed4c", "MIXED4C", "4C/OUTPUT"])
def test_what_people_call_a_layer_is_taken_for_it(described: model.Model, name: str) -> None:
    assert described.layer(name) == ("inception_4c/output", f"{name}: using inception_4c/output")


@pytest.mark.parametrize("name", ["conv1", "3x3", "pool", "norm", "inception", "output", "4", "c"])
def test_what_may_be_several_layers_is_taken_for_none(described: model.Model, name: str) -> None:
    with pytest.raises(Mistake):
        described.layer(name)


def test_the_posts_second_example_is_taken_for_3b(described: model.Model) -> None:
    layer, warning = described.layer("inception_3c/output")
    assert layer == "inception_3b/output"
    assert warning
    assert "inception_3c/output" in warning
    assert layer in warning


def test_a_model_is_found_by_name_or_folder(tiny: model.Model) -> None:
    assert model.find("bvlc_googlenet").name == "bvlc_googlenet"
    assert "bvlc_googlenet" in model.names()
    with pytest.raises(Mistake, match="bvlc_googlenet"):
        model.find("nosuch")


@pytest.mark.parametrize("line", ["mean = [1.0, 2.0]", 'channel_order = "grb"', "surprise = 1", "not toml"])
def test_a_wrong_description_is_told(tiny: model.Model, tmp_path: Path, line: str) -> None:
    folder = shutil.copytree(tiny.folder, tmp_path / "wrong")
    text = (folder / "model.toml").read_text().splitlines()
    kept = [old for old in text if old.split(" ")[0] != line.split(" ")[0]]
    (folder / "model.toml").write_text("\n".join([line, *kept]))
    with pytest.raises(Mistake, match="model.toml"):
        model.find(str(folder))


def test_weights_are_chosen_then_the_variables_then_the_folders(tiny: model.Model, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    assert tiny.weights_path() == tiny.folder / "tiny.caffemodel"
    other = tmp_path / "other.caffemodel"
    other.write_bytes(b"")
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", str(other))
    assert tiny.weights_path() == other
    assert tiny.weights_path(tiny.folder / "tiny.caffemodel") == tiny.folder / "tiny.caffemodel"
    with pytest.raises(Mistake, match="--weights"):
        tiny.weights_path("nowhere")
    monkeypatch.setenv("DREAMER_WEIGHTS_TINY", "nowhere")
    with pytest.raises(Mistake, match="DREAMER_WEIGHTS_TINY"):
        tiny.weights_path()


def test_the_variable_has_the_models_name_and_one_is_known_by_its_own(tiny: model.Model, described: model.Model,
                                                                      tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    other, ours = tmp_path / "other.caffemodel", shutil.copytree(tiny.folder, tmp_path / "my-net.2")
    other.write_bytes(b"")
    monkeypatch.setenv("DREAMER_WEIGHTS_MY_NET_2", str(other))
    assert model.find(str(ours)).weights_path() == other
    assert tiny.weights_path() != other
    monkeypatch.setenv("BVLC_GOOGLENET", str(other))
    assert described.weights_path() == other
    monkeypatch.setenv("DREAMER_WEIGHTS_BVLC_GOOGLENET", str(ours / "tiny.caffemodel"))
    assert described.weights_path() == ours / "tiny.caffemodel"


def test_weights_dropped_under_another_name_are_found(tiny: model.Model, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny.folder, tmp_path / "tiny")
    (folder / "tiny.caffemodel").rename(folder / "at8b1105.caffemodel")
    assert model.find(str(folder)).weights_path().name == "at8b1105.caffemodel"
    (folder / "at8b1105.caffemodel").unlink()
    with pytest.raises(Failure, match="missing"):
        model.find(str(folder)).weights_path()


def test_a_folder_that_is_only_called_caffe_is_not_caffe(tiny: model.Model, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "caffe").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "caffe", raising=False)
    assert tiny.places("deploy.prototxt") == [tiny.folder / "deploy.prototxt"]


def test_the_readme_tells_every_line_of_a_description() -> None:
    told = (model.MODELS / "README.md").read_text()
    fields = set(model.Model.__dataclass_fields__) - {"folder", "compact"}  # only daydream has it
    assert {field for field in fields if not re.search(rf"\b{field}\b", told)} == set()


@pytest.mark.parametrize("name", ["bvlc_googlenet", "daydream"])
def test_every_layer_of_our_models_is_described(name: str) -> None:
    found = model.find(name)
    try:
        keys = found.keys
    except Failure:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    assert set(found.likes()) == set(keys)
    assert all(words == words.strip() and 10 < len(words) < 90 for words in found.likes().values())


@pytest.mark.parametrize("installed", [True, False])
def test_another_description_than_the_pinned_one_is_refused(tiny: model.Model, tmp_path: Path, installed: bool,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """If provision.sh installed it, it is an older one's, and provision.sh brings the right one."""
    shutil.copy(tiny.prototxt_path(), tmp_path)
    pinned = dataclasses.replace(tiny, prototxt_sha256="0" * 64)
    if installed:
        monkeypatch.setattr(model.Model, "places", lambda self, file: [tmp_path / file])
    with pytest.raises(Failure, match=r"its sha256 differs\)" + (": run .*provision.sh$" if installed else "$")):
        print(pinned.net)


def test_many_models_share_one_copy_in_memory() -> None:
    """Otherwise many pictures, one after the other, each with its own Model, would fill the memory."""
    assert len({model.find("daydream").weights_path() for _ in range(3)}) == 1


LAYER = 'layer {{ name: "{0}" type: "{1}" bottom: "{2}" top: "{0}" {3} }}'


def net_with(folder: Path, *layers: tuple[str, str, str, str]) -> model.Model:
    """A tiny Model in `folder`, whose net has these layers after conv1: (name, type, bottom, parameters)."""
    written = tinymodel.PROTOTXT.partition('layer { name: "pool1"')[0]
    folder.mkdir()
    (folder / "net.prototxt").write_text(written + "\n".join(LAYER.format(*layer) for layer in layers))
    (folder / "model.toml").write_text(
        'prototxt = "net.prototxt"\nweights = "w.caffemodel"\nmean = [1, 2, 3]\ndefault_layer = "conv1"\n')
    return model.find(str(folder))


@pytest.mark.parametrize(("kind", "parameters", "why"), [
    ("Deconvolution", "convolution_param { num_output: 4 kernel_size: 2 stride: 2 }", "of the type Deconvolution"),
    ("Interp", "interp_param { zoom_factor: 2 }", "of the type Interp"),
    ("Crop", "", "of the type Crop"), ("NobodyKnows", "", "of the type NobodyKnows"),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }", "all of the picture"),
    ("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }", "WITHIN_CHANNEL"),
    ("BatchNorm", "batch_norm_param { use_global_stats: false }", "statistics"),
    ("Concat", "concat_param { axis: 2 }", "an axis other than"),
])
def test_a_layer_that_would_be_dreamed_wrong_is_refused_with_all_behind_it(tmp_path: Path, kind: str, parameters: str,
                                                                           why: str) -> None:
    found = net_with(tmp_path / "odd", ("odd", kind, "conv1", parameters), ("relu", "ReLU", "odd", ""))
    assert found.keys == ["conv1"]
    for name in ("odd", "relu"):
        with pytest.raises(Mistake, match=f"the layer odd .*{why}"):
            found.layer(name)


def test_layers_that_see_each_position_alone_are_dreamed(tmp_path: Path) -> None:
    found = net_with(tmp_path / "even", ("bn", "BatchNorm", "conv1", ""), ("scale", "Scale", "bn", ""),
                     ("elu", "ELU", "scale", ""), ("lrn", "LRN", "elu", "lrn_param { local_size: 3 }"))
    assert found.keys == ["conv1", "bn", "scale", "elu", "lrn"]


def test_pooling_that_rounds_down_has_the_size_that_caffe_gives_it(tmp_path: Path) -> None:
    layers = [("down", "Pooling", "conv1", "pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }")]
    cut = shapes.cut(net_with(tmp_path / "floor", *layers).net, ["down"])
    loaded = binding.load(cut)
    loaded.blobs["data"].reshape(1, 3, 30, 33)
    loaded.reshape()
    assert shapes.spatial(cut, 30, 33)["down"] == loaded.blobs["down"].data.shape[2:]


def test_all_that_is_wrong_with_a_description_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text("""prototxt = "a"\ndefault_layer = 5\naliases = ["a"]
mean = ["a", "b", "c"]\nchannel_order = "xyz"\nweights_size = "many"\nmistake = 1\n""")
    with pytest.raises(Mistake) as caught:
        model.find(str(tmp_path))
    said = "\n".join(caught.value.args)
    assert len(caught.value.args) == 7
    for name in ("default_layer", "aliases", "mean", "channel_order", "weights_size", "mistake", "weights is missing"):
        assert name in said


@pytest.mark.parametrize("content", [b"\xff\xfe", b"prototxt = ", b"mean = [1, 2, inf]"])
def test_no_description_ends_with_a_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.toml").write_bytes(content)
    with pytest.raises(Mistake, match="model.toml"):
        model.find(str(tmp_path))


def test_a_copy_of_a_model_under_another_name_dreams(tmp_path: Path) -> None:
    shutil.copytree(model.MODELS / "daydream", tmp_path / "mine")
    found = model.find(str(tmp_path / "mine"))
    assert found.weights_path().read_bytes() == model.find("daydream").weights_path().read_bytes()
    with pytest.raises(Failure, match="likes.toml"):  # it exists only beside the original
        found.described_keys()


@pytest.mark.parametrize("name", ["path", "home", "lang"])
def test_no_other_variable_is_taken_for_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = net_with(tmp_path / name)
    monkeypatch.setenv(name.upper(), str(tmp_path / name / "net.prototxt"))  # a file that exists
    with pytest.raises(Failure, match="are missing"):
        found.weights_path()
