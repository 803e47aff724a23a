"""Memory and tiles: the same dream in any memory."""

import numpy as np
import pytest
from PIL import Image
from test_algorithm import psnr

import dreamify
from dreamer import limits, shapes, tiles
from dreamer.errors import Failure, Mistake
from dreamer.net import Net


def one_step(model, layer, image, pixels=None, **options):
    """(picture, objective, number of tiles) of a dream of one step whose tiles have at most `pixels` pixels."""
    net, objectives = Net(model, layer), []
    if pixels:
        net.budget._largest = lambda *_: pixels
    picture = dreamify.deepdream(net, image, iterations=1, octaves=1,
                                 each_step=lambda step: objectives.append(step.objective), **options)
    return picture, objectives[0], len(net.windows[0]) * len(net.windows[1])


@pytest.mark.parametrize(("layer", "size", "pixels", "jitter"), [
    ("inception_4c/output", (720, 480), 480 * 470, 32),
    ("inception_4c/output", (719, 333), 160_000, 700),  # odd, and rolled further than it is high
    ("inception_3b/5x5_reduce", (300, 200), 120 * 120, 32),
    ("conv2/3x3", (500, 300), 160 * 160, 3),
])
def test_tiles_give_the_dream_of_the_whole(googlenet, sky, layer, size, pixels, jitter):
    image = np.asarray(Image.open(sky).resize(size))
    whole, value, one = one_step(googlenet, layer, image, jitter=jitter)
    tiled, tiled_value, many = one_step(googlenet, layer, image, pixels, jitter=jitter)
    assert one == 1
    assert many > 1
    assert psnr(whole, tiled) >= 80
    assert tiled_value == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "mix/3x3", "mix/output", "after"])
def test_tiles_give_the_dream_of_the_whole_at_any_layer(tiny, layer):
    image = np.random.RandomState(0).randint(0, 256, (151, 203, 3)).astype(np.uint8)
    whole, value, _ = one_step(tiny, layer, image)
    for pixels in (1, 12_000, 20_000):
        tiled, tiled_value, many = one_step(tiny, layer, image, pixels)
        assert many > 1
        assert psnr(whole, tiled) >= 80
        assert tiled_value == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("height", "width", "pixels"),
                         [(1080, 1920, 500_000), (90, 4000, 60_000), (2160, 3840, 10 ** 9)])
def test_a_plan_covers_the_layer_and_keeps_its_bound(googlenet, height, width, pixels):
    layers, end = shapes.cut(googlenet.net, ["inception_4c/output"]), "inception_4c/output"
    rows, columns = tiles.plan(layers, [end], height, width, pixels)
    for made, axis, size in ((rows, "h", height), (columns, "w", width)):
        owned = [w.start // 16 + i for w in made for i in range(w.own[end].start, w.own[end].stop)]
        assert owned == list(range(shapes.along(layers, end, size, axis)))
        assert all(w.start >= 0 and w.start + w.size <= size for w in made)
    assert max(r.size for r in rows) * max(c.size for c in columns) <= pixels
    assert tiles.overhead(rows, columns, height, width) < 3


def test_big_arrays_in_files_give_the_same_dream(tiny, tmp_path, monkeypatch):
    image = np.random.RandomState(0).randint(0, 256, (61, 83, 3)).astype(np.uint8)
    whole = dreamify.deepdream(Net(tiny, "conv1"), image, iterations=2, octaves=2)
    monkeypatch.setattr("dreamer.budget.WINDOW", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    net = Net(tiny, "conv1")
    net.budget.memory = net.budget.base + 200_000_000
    net.budget.arrays = 1e6
    filed = dreamify.deepdream(net, image, iterations=2, octaves=2)
    assert isinstance(net.gradient, np.memmap)
    assert np.array_equal(whole, filed)
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_told_with_the_least_that_will_do(googlenet):
    net = Net(googlenet, "inception_4c/output")
    net.budget.memory = net.budget.base + (1 << 20)
    with pytest.raises(Failure, match="is the least that will do") as error:
        net.budget.plan(2000, 3000)
    least = str(error.value).split(": ")[1].split(" is")[0]
    net.budget.memory = limits.size(least)
    net.budget.plan(2000, 3000)


def test_a_picture_whose_blobs_caffe_cannot_hold_is_dreamed_in_tiles(googlenet):
    """192 megapixels: Caffe would abort on a blob of more than 2^31 numbers, however much memory there is."""
    net = Net(googlenet, "inception_4c/output", memory=1 << 45)
    _, overhead = net.budget.plan(12_000, 16_000)
    assert overhead > 1


@pytest.mark.parametrize("layer", ["inception_4c/output", "inception_3b/output+inception_4c/output"])
def test_what_is_enough_memory_is_enough_where_there_is_more(googlenet, layer):
    """Where big arrays would leave too little for the net, they go to the disk."""
    net, enough = Net(googlenet, layer), []
    for more in range(60, 700, 4):
        net.budget.memory = net.budget.base + (more << 20)
        try:
            net.budget.plan(1080, 1920)
            enough.append(True)
        except Failure:
            enough.append(False)
    assert enough == sorted(enough)
    assert len(set(enough)) == 2


@pytest.mark.parametrize(("text", "count"), [("512m", 512 << 20), ("1.5G", 3 << 29), ("2 GiB", 2 << 30), ("123", 123),
                                             ("3kb", 3072)])
def test_sizes_of_memory(text, count):
    assert limits.size(text) == count
    if count > 1 << 20:
        assert count <= limits.size(limits.told(count)) < count * 1.1


@pytest.mark.parametrize("text", ["", "much", "-1g", "0", "1x"])
def test_what_is_no_size_of_memory(text):
    with pytest.raises(Mistake):
        limits.size(text)


def groups(tmp_path, monkeypatch, where, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    read = limits._read
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    monkeypatch.setattr(limits, "_read", lambda path: where if str(path) == "/proc/self/cgroup" else read(path))


@pytest.mark.parametrize(("where", "files", "free"), [
    ("0::/a/b", {"a/memory.max": "400", "a/memory.current": "150", "a/memory.stat": "anon 100\ninactive_file 50\n",
                 "a/b/memory.max": "max"}, 300),
    ("4:memory:/docker/x", {"memory/memory.limit_in_bytes": "500", "memory/memory.usage_in_bytes": "100"}, 400),
    ("4:cpu,memory:/", {"cpu,memory/memory.limit_in_bytes": "500", "cpu,memory/memory.usage_in_bytes": "900"}, 0),
])
def test_memory_of_a_control_group(tmp_path, monkeypatch, where, files, free):
    groups(tmp_path, monkeypatch, where, files)
    assert limits.memory() == free


@pytest.mark.parametrize(("where", "files", "count"), [
    ("0::/a", {"a/cpu.max": "100000 100000"}, 1),
    ("0::/a", {"a/cpu.max": "max 100000"}, 8),
    ("0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 2),
    ("3:cpu,cpuacct:/x", {"cpu,cpuacct/x/cpu.cfs_quota_us": "50000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, 1),
    ("3:cpu:/x", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
])
def test_threads_of_a_control_group(tmp_path, monkeypatch, where, files, count):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    groups(tmp_path, monkeypatch, where, files)
    assert limits.threads() == count
