"""README, manual, help and code say the same, and every block of commands does what it says."""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dreamify
from commands import (
    BLOCKS,
    DEEP,
    ELSEWHERE,
    PAGES,
    README,
    SIZE,
    Command,
    commands,
    folder_with_photos,
    kind,
    make_video,
    of_kind,
)
from containers import run
from dreamer.films.names import FILMS
from dreamer.nets import layers, model
from dreamer.nets.model import Model
from dreamer.pictures import writing
from helpers import ROOT, search, tracked

sys.path[:0] = [str(ROOT / "tests/gallery")]
import make  # noqa: E402


def table(header: str) -> dict[str, list[str]]:
    """{first cell: the other cells} of all tables with this header."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for part in README.split(f"| {header} |\n")[1:]
             for line in part.partition("\n\n")[0].splitlines()[1:]]
    return {first.strip(" `"): rest for first, *rest in cells}


ROWS = table("Argument or option | Default | What it does")
ACTIONS = [action for action in dreamify.parser()._actions if action.dest != "help"]


def spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar)
    return " ".join([action.option_strings[-1], *([str(action.metavar)] if action.metavar else [])])


def test_the_table_has_every_option_and_no_other() -> None:
    assert set(ROWS) == {spelled(action) for action in ACTIONS} | {"--help"}


@pytest.mark.parametrize("action", ACTIONS, ids=spelled)
def test_the_table_tells_the_defaults(action: argparse.Action) -> None:
    default = action.default
    if spelled(action) == "LAYER":
        default = model.find(model.DEFAULT).default_layer
    told = ROWS[spelled(action)][0].strip("`")
    assert told == ("" if default is None or default is False or default == "==SUPPRESS==" else str(default))


def test_the_table_tells_the_formats() -> None:
    told = re.findall(r"`(\.\w+)`", ROWS["OUTPUT"][1])
    still = {writing.FORMATS[extension][0] for extension in told if extension in writing.FORMATS}
    assert still == {kind for kind, *_ in writing.FORMATS.values()}
    assert set(FILMS) <= set(told) <= {*FILMS, *writing.FORMATS}


def test_every_page_is_known_and_found() -> None:
    assert set(PAGES[1:]) == set((ROOT / "docs").glob("*.md"))
    assert all(f"(docs/{page.name})" in PAGES[0].read_text() for page in PAGES[1:])
    assert len(PAGES[0].read_text().splitlines()) <= 250


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)", page.read_text(), re.M)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "models/README.md"], ids=str)
def test_commands_files_and_links_of_the_pages_exist(page: Path) -> None:
    for path in re.findall(r"(?:\./|(?<![\w/])tests/)[\w./-]+", page.read_text()):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)]*)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            found = page.parent / path if path else page
            assert found.exists(), link
            assert not anchor or anchor in anchors(found), link


def test_layers_in_the_readme_are_layers() -> None:
    found = model.find(model.DEFAULT)
    try:
        keys = found.keys
    except Exception:
        pytest.skip("deploy.prototxt is not installed: ./provision.sh")
    named = set(re.findall(r"(?:inception|conv)[\w]*/\w+", README))
    assert len(named) >= 4
    assert named <= {*keys, *found.aliases}


def test_exit_codes_are_told_alike() -> None:
    line = next(line for line in README.splitlines() if line.startswith("Exit codes"))
    assert line in dreamify.parser().format_help()


READ = (r"environ(?:\.get)?[(\[]\"([A-Z_]+)\"", r"environ\.setdefault\(\"(\w+)\"", r"getenv\(\"(\w+)\"\)",
        r"ENV(?:\.fetch\(|\[)\"(\w+)\"", r"\$\{([A-Z][A-Z_]+):?[-?=+]")
OF_OS_RELEASE = {"ID", "VERSION_ID", "PRETTY_NAME"}


def test_the_table_has_every_environment_variable_and_no_other() -> None:
    read = {name for path in tracked() if path.suffix in (".py", ".sh", ".cpp", ".patch", "") and path.name != "LICENSE"
            and not {"tests", "train", ".ci"} & set(path.relative_to(ROOT).parts)
            for pattern in READ for name in re.findall(pattern, path.read_text())}
    read |= {"DREAMER_WEIGHTS_NAME", "BVLC_GOOGLENET"}  # built from the model's name; and a second name for one
    told = {name for names in table("Variable | Read by | What it does")
            for name in re.findall(r"\w+", names)}
    assert told == read - OF_OS_RELEASE


def test_captions_are_the_commands_that_made_the_pictures() -> None:
    for name, item in make.ITEMS.items():
        after = README[README.index(f"tests/gallery/{name}.jpg"):]
        assert f"`{item.command}`" in after or item.command in README.partition("## Gallery")[0], name
    assert make.LAYER_COMMAND in README


def test_every_layer_of_the_table_has_its_picture_and_what_it_likes() -> None:
    likes = model.find(model.DEFAULT).likes()
    lines = README.splitlines()
    for layer in make.LAYERS:
        (at,) = [number for number, line in enumerate(lines) if f"tests/gallery/{make.file_of(layer)}" in line]
        cell = lines[at].split("|").index(f" ![](tests/gallery/{make.file_of(layer)}) ")
        below = next(line for line in lines[at + 1:] if not line.startswith("|-"))
        assert below.split("|")[cell].strip() == f"`{layer}`<br>{likes[layer]}"


def test_all_pictures_of_the_gallery_are_shown_and_no_other_are_there() -> None:
    there = {path.name for path in (ROOT / "tests/gallery").glob("*.jpg")}
    assert there == {*(f"{name}.jpg" for name in make.ITEMS), *map(make.file_of, make.LAYERS), "how.jpg", "studio.jpg"}
    assert there == set(re.findall(r"tests/gallery/([\w-]+\.jpg)", README))


def test_the_pictures_are_small() -> None:
    paths = [path for path in tracked() if path.suffix in (".jpg", ".png", ".gif", ".webp")]
    assert len(paths) > 20
    assert sum(path.stat().st_size for path in paths) <= 5e6


def test_every_photo_says_where_it_is_from() -> None:
    told = (ROOT / "tests/pictures/README.md").read_text()
    for path in (ROOT / "tests/pictures").iterdir():
        if path.suffix in (".jpg", ".png"):
            assert f"| `{path.name}` |" in told


def test_the_gallery_is_what_its_commands_dream(googlenet: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them, dreamed again: with its seed it is the same, except for JPEG's losses."""
    monkeypatch.setenv("BVLC_GOOGLENET", str(googlenet.weights_path()))
    made = make.ITEMS["eyes"].arrange(make.dreamed(make.ITEMS["eyes"].command))
    kept = Image.open(ROOT / "tests/gallery/eyes.jpg")
    assert made.size == kept.size
    difference = np.asarray(made, np.float64) - np.asarray(kept, np.float64)
    assert 10 * np.log10(255 ** 2 / np.mean(difference ** 2)) > 30


def line(command: Command) -> str:
    return command.line


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the photos that the README names."""
    folder = folder_with_photos(tmp_path_factory.mktemp("readme"))
    if shutil.which("ffmpeg"):
        make_video(folder / "video.mp4")
    return folder


def bash(command: str, folder: Path, **environment: str) -> str:
    """Run a line as somebody who copies it would; returns its output."""
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, check=False,
                          env=os.environ | environment, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@contextlib.contextmanager
def photo_of(size: tuple[int, int], folder: Path) -> Iterator[None]:
    """In this block, photo.jpg has that size."""
    photo = folder / "photo.jpg"
    usual = photo.read_bytes()
    if size != SIZE:
        Image.open(photo).resize(size).save(photo)
    yield
    photo.write_bytes(usual)


def watches(command: str, folder: Path, dream: str) -> None:
    """Run a line that only Ctrl-C ends, until it has written `dream`."""
    (folder / dream).unlink(missing_ok=True)
    watching = subprocess.Popen(["bash", "-ec", f"exec {command}"], cwd=folder, stdout=subprocess.DEVNULL,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        for _ in range(600):
            if (folder / dream).exists():
                break
            assert watching.poll() is None
            time.sleep(0.1)
        assert Image.open(folder / dream).size == Image.open(folder / "photo.jpg").size
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130


def written(command: Command, folder: Path) -> None:
    """Check that the files that a line names exist, and are new and whole."""
    for name in command.outputs:
        path = folder / name
        assert path.stat().st_size > 0
        if path.suffix in writing.FORMATS:
            Image.open(path).load()


def test_every_block_is_run_or_listed() -> None:
    """A new command counts as fast, and is run. A block in another language fails here. (bash and yaml: files, which
    tests/test_farm_cluster.py uses.)"""
    assert {language for language, _ in BLOCKS} <= {"sh", "bat", "python", "bash", "yaml", ""}
    assert [language for language, _ in BLOCKS if language in ("bash", "yaml")] == ["bash", "yaml"]
    assert set(ELSEWHERE) <= {command.line for command in commands()}
    assert len(of_kind("fast")) > 15
    assert len({command.block for command in of_kind("vagrant")}) == 1
    assert not [command for command in commands() if BLOCKS[command.block][0] == "bat" and kind(command) != "elsewhere"]


@pytest.mark.parametrize("command", of_kind("fast"), ids=line)
def test_commands(googlenet: Model, clone: Path, command: Command) -> None:
    if "./provision.sh" in command.line and (os.geteuid() != 0 or not os.path.exists("/opt/image-dreamer/key")):
        pytest.skip("it would ask for a password here, or compile Caffe")
    if ".mp4" in command.line and not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: ./provision.sh film")
    if "--flow" in command.line:
        pytest.importorskip("cv2", reason="no OpenCV: ./provision.sh film")
    if "--watch" in command.line:
        watches(command.line, clone, "photo-dream.jpg")
        return
    before = {path.name for path in clone.iterdir()}
    for name in command.outputs:
        if name not in ("photo.jpg", "photo2.jpg", "video.mp4", "face.png"):
            (clone / name).unlink(missing_ok=True)
    shutil.rmtree(clone / "dreams", ignore_errors=True)
    with photo_of(DEEP if "class:" in command.line else SIZE, clone):
        said = bash(command.line, clone, BVLC_GOOGLENET=str(googlenet.weights_path()))
    written(command, clone)
    if " keys --classes" in command.line:
        assert len(said.splitlines()) == 9
    elif " keys" in command.line:
        assert len(said.splitlines()) == 81
    elif command.line.startswith("./dreamify.py photos dreams"):
        assert {path.name for path in (clone / "dreams").iterdir()} == {"one-dream.jpg", "two-dream.png"}
    elif " dreams/" in command.line:
        assert {path.name for path in (clone / "dreams").iterdir()} >= {"photo-dream.jpg", "photo2-dream.jpg"}
    elif "frame-%04d.png" in command.line:
        assert len(list(clone.glob("frame-*.png"))) == 20
    elif " doctor" in command.line:
        assert said.endswith("works\n")
    elif told := re.search(r" >(\S+)$", command.line):
        assert (clone / told[1]).stat().st_size > 0
    elif "./dreamify.py" in command.line and "source <(" not in command.line:
        assert command.outputs
    assert not [path.name for path in clone.iterdir() if path.name.startswith(".") and path.name not in before]


PYTHON = [text for language, text in BLOCKS if language == "python"]
FIRST, LISTENING, BEGIN, *EXPERIMENTS = PYTHON


def python(code: str, folder: Path) -> str:
    """Run lines of Python in a folder; returns their output."""
    done = subprocess.run(["/usr/bin/python3", "-c", code], cwd=folder, capture_output=True, text=True, check=False,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python(googlenet: Model, clone: Path) -> None:
    """Each expression has the value that the comment after it gives."""
    told = re.findall(r"^(dreamify\..*?)  +# (.*)", FIRST, re.M)
    code = re.sub(r"^(dreamify\..*?)  +# .*", r"print('=', repr(\1))", FIRST, flags=re.M)
    said = python(f"import os; os.environ['BVLC_GOOGLENET'] = {str(googlenet.weights_path())!r}\n{code}", clone)
    assert len(told) == 2
    for (_, remark), value in zip(told, re.findall("^= (.*)", said, re.M), strict=True):
        assert re.fullmatch(re.escape(remark).replace("…", ".*"), value)
    assert dreamify.recipe(clone / "dream.png")["iterations"] == 5
    assert (clone / "atlas.html").read_text().count("<figure") == 6


def test_python_that_listens(googlenet: Model, clone: Path) -> None:
    """Each event is printed, from the first to the last."""
    said = python(f"import os; os.environ['BVLC_GOOGLENET'] = {str(googlenet.weights_path())!r}\n{LISTENING}", clone)
    happened = [kind for kind in re.findall(r"^(\w+)\(", said, re.M)
                if kind not in ("Warned", "Tick")]  # because the photo is small
    assert [happened[0], happened[-1]] == ["Began", "Finished"]
    assert "Stepped" in happened
    assert dreamify.recipe(clone / "dream.png")["seed"] == 1


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda code: search(r"def (\w+)", code)[1])
def test_experiments(googlenet: Model, clone: Path, sky: Path, experiment: str, tmp_path: Path) -> None:
    """Each is short, runs, and gives a different dream than the plain one."""
    Image.open(sky).resize((96, 72)).save(tmp_path / "photo.jpg")
    assert len([row for row in experiment.splitlines() if row]) <= 10
    plain = 'save(dreamify.deepdream(net, photo, seed=1), "plain.png")\n'
    python(f"import os; os.environ['BVLC_GOOGLENET'] = {str(googlenet.weights_path())!r}\n"
           f"import sys; sys.path[:0] = [{str(clone)!r}]\n{BEGIN}\n{plain}\n{experiment}", tmp_path)
    name = search(r'"([\w ]+\.png)"', experiment)[1]
    dream, other = (np.asarray(Image.open(tmp_path / file), np.float64) for file in (name, "plain.png"))
    assert dream.shape == other.shape
    assert np.abs(dream - other).mean() > 1


def test_three_experiments() -> None:
    assert len(EXPERIMENTS) == 3


def test_examples_of_layers() -> None:
    (text,) = [text for language, text in BLOCKS if not language and text.startswith("'")]
    for row in text.splitlines():
        layers.parse(search(r"^'(.*?)'", row)[1], model.find(model.DEFAULT))


@pytest.mark.container
@pytest.mark.parametrize("command", of_kind("container"), ids=line)
def test_commands_of_containers(docker: str, base: str, image: str, context: Path, folder: Path,
                                command: Command) -> None:
    """In a folder that belongs to a user. The base is named in case no hub has the pinned one."""
    words = command.line
    client = {"PATH": f"{os.path.dirname(docker)}:{os.environ['PATH']}", "DOCKER_BUILDKIT": "1"}
    if " build " in words:
        bash(f"{words} --build-arg BASE={base}", context, **client)
        return
    run(docker, "tag", image, "image-dreamer")
    if "--watch" in words:
        watches(words.replace("docker", docker, 1).replace(" -it", ""), folder, "photo-dream.jpg")  # signals reach it
    elif " -it " in words:
        # type into the shell what the text before the block says
        typed = "dreamify photo.jpg dream.png\nexit\n" if words.endswith(" bash") else ""
        terminal = ["script", "--quiet", "--return", "--command", words, "/dev/null"]
        done = subprocess.run(terminal, cwd=folder, input=typed, capture_output=True, text=True, check=False,
                              env=os.environ | client, timeout=300)
        assert done.returncode == 0, done.stdout
        assert Image.open(folder / "dream.png").size == Image.open(folder / "photo.jpg").size
    else:
        bash(words, folder, **client)
        written(command, folder)
