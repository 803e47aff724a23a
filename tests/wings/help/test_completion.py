"""Completion, in the real shells: what is typed, and what then stands on the line or is offered."""

import contextlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import dreamify
from dreamer.help import commands, completion
from dreamer.help.commands import Command
from dreamer.nets import classes, layers, model
from dreamer.nets.model import Model
from helpers import ROOT, run
from terminals import BASH, ZSH, Terminal

COMMANDS = [commands.described(function) for function in (dreamify.dreamify, *dreamify.COMMANDS.values())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of several kinds."""
    made = tmp_path_factory.mktemp("shells") / "folder"
    (made / "dreams").mkdir(parents=True)
    for name in ("photo.jpg", "PHOTO2.JPG", "two words.png", "notes.txt", "video.mp4"):
        (made / name).touch()
    (made / "dreamify.py").symlink_to(ROOT / "dreamify.py")
    return made


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script for each shell."""
    made = tmp_path_factory.mktemp("scripts")
    for shell in completion.SHELLS:
        (made / shell).write_text(run("completion", shell).stdout)
    return made


@contextlib.contextmanager
def terminal(shell: str, folder: Path, scripts: Path) -> Iterator[Terminal]:
    """A Terminal of bash or zsh with the script."""
    if not shutil.which(shell):
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    if shell == "bash":
        made = Terminal(["bash", "--norc", "--noprofile", "-i"], folder, f". {scripts}/bash\n{BASH}")
    else:
        made = Terminal(["zsh", "-f", "-i"], folder,
                        f"autoload -Uz compinit; compinit -D -u\n. {scripts}/zsh\n{ZSH}")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, folder: Path, scripts: Path) -> Iterator[Terminal]:
    with terminal(request.param, folder, scripts) as made:
        yield made


@pytest.mark.parametrize(("keys", "line"), [
    ("dreamify photo.jpg dream.png --see\t", "dreamify photo.jpg dream.png --seed"),
    ("./dreamify.py --keep-c\t", "./dreamify.py --keep-colours"),
    ("dreamify comp\t", "dreamify completion"),
    ("dreamify completion fi\t", "dreamify completion fish"),
    ("dreamify ph\t", "dreamify photo.jpg"),
    ("dreamify PH\t", "dreamify PHOTO2.JPG"),
    ("dreamify tw\t", r"dreamify two\ words.png"),
    ("dreamify photo.jpg no\t", "dreamify photo.jpg notes.txt"),
    ("dreamify photo.jpg dream.png --guide ph\t", "dreamify photo.jpg dream.png --guide photo.jpg"),
    ("dreamify photo.jpg dream.png --mask=ph\t", "dreamify photo.jpg dream.png --mask=photo.jpg"),
    ("dreamify --model dayd\t", "dreamify --model daydream"),
    ("dreamify keys --desc\t", "dreamify keys --describe"),
    ("dreamify keys --no-cl\t", "dreamify keys --no-cl"),
    ("dreamify --quiet atlas photo.jpg a.png --ful\t", "dreamify --quiet atlas photo.jpg a.png --full"),
    ("dreamify noi\t", "dreamify noise"),
    ("dreamify studio dr\t", "dreamify studio dreams/"),
])
def test_a_word_is_completed(shell: Terminal, keys: str, line: str) -> None:
    assert shell.line(keys).rstrip(" =") == line  # zsh writes --seed=, and takes the = away again before a blank


@pytest.mark.parametrize(("keys", "line"), [
    ("dreamify photo.jpg d.png inception_3b/5x5_r\t", "dreamify photo.jpg d.png inception_3b/5x5_reduce"),
    ("dreamify photo.jpg d.png animal\t", "dreamify photo.jpg d.png animals"),
    ("dreamify --model bvlc_googlenet photo.jpg d.png class:flam\t",
     "dreamify --model bvlc_googlenet photo.jpg d.png class:flamingo"),
    ("dreamify --model bvlc_googlenet photo.jpg d.png class:tiger-s\t",
     "dreamify --model bvlc_googlenet photo.jpg d.png class:tiger-shark"),
    ("dreamify photo.jpg video.mp4 dreams/ inception_5b/o\t",
     "dreamify photo.jpg video.mp4 dreams/ inception_5b/output"),
    ("dreamify photo.jpg photo.jpg vid\t", "dreamify photo.jpg photo.jpg video.mp4"),
])
def test_what_layer_takes_is_asked_for(described: Model, shell: Terminal, keys: str, line: str) -> None:
    assert shell.line(keys).rstrip() == line


def test_the_layers_are_those_of_the_model_on_the_line(shell: Terminal, tiny: Model) -> None:
    found = {key for key in tiny.keys if key.startswith("mi")}
    assert set(shell.offered(f"dreamify photo.jpg d.png --model {tiny.folder} mi")) == found
    assert set(shell.offered(f"dreamify --model={tiny.folder} photo.jpg d.png mi")) == found


def test_every_option_of_each_command_is_offered_and_no_other(shell: Terminal) -> None:
    for command in COMMANDS:
        found = {word.rstrip("=") for word in shell.offered(f"dreamify {command.word} --")}
        assert found == options(command)


def options(command: Command) -> set[str]:
    """All that begin with two dashes."""
    return {option.spelled for option in command.options} | {"--help", *([] if command.word else ["--version"])}


def test_only_pictures_films_and_folders_are_offered_for_input(shell: Terminal) -> None:
    found = shell.offered("dreamify ./")
    assert [word for word in found if "notes" in word] == []
    assert {"photo.jpg", "PHOTO2.JPG", "video.mp4", "dreams"} <= {word.strip("./") for word in found}


def test_zsh_completes_behind_python(folder: Path, scripts: Path) -> None:
    with terminal("zsh", folder, scripts) as zsh:
        assert zsh.line("python3 dreamify.py keys --desc\t").rstrip() == "python3 dreamify.py keys --describe"


@pytest.mark.parametrize(("typed", "found"), [
    ("dreamify photo.jpg dream.png --see", ["--seed"]),
    ("./dreamify.py --keep-c", ["--keep-colours"]),
    ("dreamify comp", ["completion"]),
    ("dreamify completion fis", ["fish"]),
    ("dreamify pho", ["photo.jpg"]),
    ("dreamify two", ["two words.png"]),
    ("dreamify photo.jpg not", ["notes.txt"]),
    ("dreamify photo.jpg dream.png --guide pho", ["photo.jpg"]),
    ("dreamify photo.jpg dream.png --mask=pho", ["--mask=photo.jpg"]),
    ("dreamify --model dayd", ["daydream"]),
    ("dreamify keys --desc", ["--describe"]),
    ("dreamify keys --no-cl", []),
    ("dreamify --quiet atlas photo.jpg a.png --ful", ["--full"]),
    ("dreamify nois", ["noise"]),
    ("dreamify studio drea", ["dreams/"]),
    ("dreamify photo.jpg d.png animal", ["animals"]),
    ("dreamify --model bvlc_googlenet photo.jpg d.png class:flam", ["class:flamingo"]),
    ("dreamify photo.jpg video.mp4 dreams/ inception_5b/outp", ["inception_5b/output"]),
    ("dreamify photo.jpg photo.jpg vide", ["video.mp4"]),
])
def test_fish_offers(described: Model, folder: Path, scripts: Path, typed: str, found: list[str]) -> None:
    assert sorted(fish(typed, folder, scripts)) == sorted(found)


def test_fish_offers_the_layers_of_the_model_on_the_line(folder: Path, scripts: Path, tiny: Model) -> None:
    typed = f"dreamify photo.jpg d.png --model {tiny.folder} mix"
    assert sorted(fish(typed, folder, scripts)) == sorted(key for key in tiny.keys if key.startswith("mix"))


def test_fish_offers_every_option_of_each_command_and_no_other(folder: Path, scripts: Path) -> None:
    for command in COMMANDS:
        assert set(fish(f"dreamify {command.word} --", folder, scripts)) == options(command)


def fish(typed: str, folder: Path, scripts: Path) -> list[str]:
    """What fish offers, without its descriptions."""
    if not shutil.which("fish"):
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    done = subprocess.run(["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", scripts / "fish",
                           typed], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_every_name_that_is_offered_is_understood(googlenet: Model) -> None:
    """And each class is that class."""
    offered = [line.partition("\t")[0] for line in completion.names(googlenet)]
    labels = classes.labels(googlenet)
    looks = googlenet.looks()
    assert offered == [*googlenet.keys, *looks, *(label.typed for label in labels)]
    for name in [name for name in offered if name not in looks]:
        layers.parse(name, googlenet)
    for label in labels:
        assert classes.found(label.typed.partition(":")[2], googlenet) == [label]
        assert shlex.quote(label.typed) == label.typed


def test_names_of_a_net_without_classes_are_its_layers_and_looks() -> None:
    daydream = model.find("daydream")
    assert [line.partition("\t")[0] for line in completion.names(daydream)] == [*daydream.keys, *daydream.looks()]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_without_its_program_is_silent(shell: str, tmp_path: Path, folder: Path) -> None:
    """As when the clone was removed: the options stay, and nothing is said."""
    if not shutil.which(shell):
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    (tmp_path / shell).write_text("\n".join(completion.script(shell, COMMANDS, "/nowhere/dreamify.py")) + "\n")
    if shell == "fish":
        assert fish("dreamify photo.jpg d.png incep", folder, tmp_path) == []
        assert fish("dreamify keys --desc", folder, tmp_path) == ["--describe"]
        return
    with terminal(shell, folder, tmp_path) as made:
        assert made.line("dreamify photo.jpg d.png incep\t") == "dreamify photo.jpg d.png incep"
        assert made.line("dreamify keys --desc\t").rstrip() == "dreamify keys --describe"


def test_another_shell_is_a_mistake() -> None:
    done = run("completion", "tcsh")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("dreamify: completion: 'tcsh' is not a shell that can complete; write bash, zsh, fish, or "
                           "names\n")
