"""Options without effect are reported, and no others."""

from pathlib import Path
from typing import Any

import pytest

import dreamify
from dreamer.nets.model import Model
from dreamer.options.understand import understand
from helpers import noise, run, saved

STILL, FILM = {"output": "out.png"}, {"output": "out.gif"}
ZOOM, FRAMES = {"output": "out.gif", "zoom": 3}, {"input": "frames", "output": "out.webp"}
FOLDER = {"input": "frames", "output": "dreams"}
NO_FILM, NO_VIDEO = "because OUTPUT is not a film", "because INPUT is not a video"
NO_ZOOM, NO_GUIDE = "without --zoom", "without --guide"


@pytest.fixture
def warned(tmp_path: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function of settings that returns the warnings."""
    monkeypatch.chdir(tmp_path)
    for name in ("in.png", "guide.png"):
        saved(tmp_path / name, noise(60, 80))
    (tmp_path / "frames").mkdir()
    for number in range(2):
        saved(tmp_path / f"frames/{number}.png", noise(60, 80, number))

    def call(*asked: dict[str, Any]) -> list[str]:
        whole = {"input": "in.png", "model": str(tiny.folder)}
        for each in asked:
            whole |= each
        return list(understand(dreamify.ask(whole)).warnings)
    return call


@pytest.mark.parametrize(("kind", "asked", "told"), [
    (STILL, {"fps": 5}, f"--fps has no effect {NO_FILM}"), (STILL, {"fps": "25"}, f"--fps has no effect {NO_FILM}"),
    (FOLDER, {"fps": 5}, f"--fps has no effect {NO_FILM}"),
    (STILL, {"zoom_step": 0.5}, f"--zoom-step has no effect {NO_ZOOM}"),
    (FILM, {"rotate": "0"}, f"--rotate has no effect {NO_ZOOM}"),  # as text: it was typed
    (FRAMES, {"pan": "0,0.1"}, f"--pan has no effect {NO_ZOOM}"),
    (FILM, {"zoom_step": 0.5, "rotate": 1, "pan": [1, 0]},
     f"--zoom-step and --rotate and --pan have no effect {NO_ZOOM}"),
    (STILL, {"flow": True}, f"--flow has no effect {NO_VIDEO}"),
    (ZOOM, {"blend": 0.5}, f"--blend has no effect {NO_VIDEO}"),
    (ZOOM, {"start": 1, "no_sound": True}, f"--start and --no-sound have no effect {NO_VIDEO}"),
    (FOLDER, {"flow": True, "blend": 1}, f"--flow and --blend have no effect {NO_VIDEO}"),
    (STILL, {"guide_size": 40}, f"--guide-size has no effect {NO_GUIDE}"),
    (FRAMES, {"guide_size": "512"}, f"--guide-size has no effect {NO_GUIDE}")])
def test_an_option_without_effect_is_told(warned: Any, kind: dict[str, Any], asked: dict[str, Any], told: str) -> None:
    assert warned(kind, asked) == [told]
    assert warned(kind) == []


@pytest.mark.parametrize(("kind", "asked"), [
    (FILM, {"fps": 5}), (ZOOM, {"fps": 5, "zoom_step": 0.1, "rotate": 1, "pan": "0,0.1"}), (FRAMES, {"fps": 5}),
    (FRAMES, {"blend": 0.5}), (STILL, {"guide": "guide.png", "guide_size": 40}),
    ({"output": "out-%d.png"}, {"fps": 5}), ({"output": "out.webp", "zoom": 2}, {"fps": 5})])
def test_one_with_an_effect_is_not(warned: Any, kind: dict[str, Any], asked: dict[str, Any]) -> None:
    assert warned(kind, asked) == []


@pytest.mark.parametrize("kind", [STILL, FILM, ZOOM, FRAMES, FOLDER])
def test_what_a_program_says_as_usual_is_not(warned: Any, kind: dict[str, Any]) -> None:
    """As numbers, not text: a program may send all fields."""
    usual = {"zoom_step": 0.05, "rotate": 0, "pan": [0, 0], "fps": None, "flow": False, "blend": None,
             "guide_size": 512}
    assert warned(usual, kind) == []


def test_each_reason_has_a_line(warned: Any) -> None:
    told = warned(STILL, {"fps": 5, "rotate": 3, "flow": True, "guide_size": 40})
    assert [line.split(" has ")[0] for line in told] == ["--rotate", "--fps", "--flow", "--guide-size"]


def test_a_video_has_most_options_of_films(warned: Any, tmp_path: Path, ffmpeg: None) -> None:
    from commands import make_video
    make_video(tmp_path / "in.mp4")
    video = {"input": "in.mp4", "output": "out.gif"}
    given = {"fps": 5, "blend": 0.5, "start": "0.04", "end": 1, "no_sound": True, "no_deinterlace": True}
    assert warned(video, given) == []
    assert warned(FRAMES, given) == ["--start and --end and --no-deinterlace and --no-sound have no effect because "
                                     "INPUT is a folder of frames"]


def test_what_a_recipe_says_is_not(warned: Any, tmp_path: Path, tiny: Model) -> None:
    """The recipe of a film, used for another kind: the user did not ask for its rate. Typed options still count."""
    for words in (["in.png", "zoom.gif", "--zoom", 2, "--fps", 5, "--rotate", 3, "--pan", "0.1,0"],
                  ["frames", "frames.gif", "--fps", 5, "--blend", 0.25]):
        done = run(*words, "conv1", 1, 1, "--model", tiny.folder)
        assert (done.returncode, done.stderr) == (0, "")
    for kind in (STILL, FILM, ZOOM, FRAMES, FOLDER):
        for like in ("zoom.gif", "frames.gif"):
            assert [line for line in warned(kind, {"like": like}) if "no effect" in line] == [], (kind, like)
    assert warned(FILM, {"like": "frames.gif", "rotate": "3"}) == [f"--rotate has no effect {NO_ZOOM}"]


def test_the_command_says_it_before_it_dreams(warned: Any, tiny: Model) -> None:
    done = run("in.png", "out.png", "conv1", 1, 1, "--fps", 5, "--model", tiny.folder)
    assert done.returncode == 0
    assert done.stderr == f"dreamify: warning: --fps has no effect {NO_FILM}\n"
