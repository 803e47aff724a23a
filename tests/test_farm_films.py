"""Films that real workers of a farm dream together, and what may happen to them."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dreamer.nets.model import Model
from farms import MANY, SCRIPT, Farm, child_of, until
from helpers import ends, made, names, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ffmpeg")]


@pytest.fixture
def video(frames: Path, tmp_path: Path) -> Path:
    """The frames and then them again, with their order reversed: 60 frames, a tone, and a cut in the middle."""
    subprocess.run(["ffmpeg", "-v", "error", "-framerate", "25", "-i", frames / "%d.png", "-f", "lavfi", "-i",
                    "sine=440:r=44100:d=2.4", "-filter_complex", "[0]split[a][b];[b]vflip,negate[c];[a][c]concat",
                    "-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p", "-c:a", "aac", tmp_path / "in.mp4"],
                   check=True)
    return tmp_path / "in.mp4"


@pytest.fixture
def both(tiny: Model, tmp_path: Path) -> Callable[..., tuple[list[str], bytes]]:
    """Function of the input, the output's name and more words that returns (command line of the dream in the folder
    away, bytes of the film that this machine dreams alone)."""
    def words(source: Path, name: str, *more: object) -> tuple[list[str], bytes]:
        for folder in ("alone", "away"):
            (tmp_path / folder).mkdir(exist_ok=True)
        given = ["mix/output", "3", "2", "--seed", "1", "--model", str(tiny.folder), *map(str, more)]
        made([str(SCRIPT), str(source), str(tmp_path / "alone" / name), *given, "--quiet"])
        return [str(source), str(tmp_path / "away" / name), *given], (tmp_path / "alone" / name).read_bytes()
    return words


@pytest.mark.parametrize("more", [(), ("--flow",)])
def test_a_video(farm: Farm, video: Path, both: Callable[..., tuple[list[str], bytes]], tmp_path: Path,
                 more: tuple[str, ...]) -> None:
    words, alone = both(video, "f.mp4", *more)
    farm.worker()
    farm.worker()
    done = farm.run(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "60 frames, 25 a second, 98×64 pixels, 2 octaves, seed 1, dreamed by other machines" in done.stdout
    assert (tmp_path / "away/f.mp4").read_bytes() == alone
    assert names(tmp_path / "away") == ["f.mp4"]


def test_a_zoom_whose_worker_is_killed(farm: Farm, small: Path, both: Callable[..., tuple[list[str], bytes]],
                                       tmp_path: Path) -> None:
    words, alone = both(small, "z.gif", "--zoom", "60")
    first = farm.worker()
    dreaming = farm.command(*words)
    child = child_of(first)
    first.kill()
    farm.worker()
    out, errors = dreaming.communicate(timeout=5 * MANY)
    assert dreaming.returncode == 0, errors
    assert ends(child)
    assert "frame 60/60" in out
    assert (tmp_path / "away/z.gif").read_bytes() == alone


def test_a_zoom_whose_worker_is_slow(farm: Farm, small: Path, both: Callable[..., tuple[list[str], bytes]],
                                     tmp_path: Path) -> None:
    """Its part is tried elsewhere, though the next one cannot begin before."""
    words, alone = both(small, "z.gif", "--zoom", "30")
    slow = farm.slow_worker(6, 1000)
    dreaming = farm.command(*words)
    child_of(slow)
    farm.worker()
    out, errors = dreaming.communicate(timeout=3 * MANY)
    assert dreaming.returncode == 0, errors
    assert "frame 30/30" in out
    assert (tmp_path / "away/z.gif").read_bytes() == alone


def test_a_stopped_film_goes_on(farm: Farm, video: Path, both: Callable[..., tuple[list[str], bytes]],
                                tmp_path: Path) -> None:
    words, alone = both(video, "f.mkv")
    slow = farm.slow_worker(134, 1)  # in the last 10 of the 144 steps of 24 frames
    dreaming = farm.command(*words)
    wait_for(dreaming, "frame 24/60")
    child = child_of(slow)
    dreaming.send_signal(signal.SIGINT)
    _, errors = dreaming.communicate(timeout=MANY)
    assert dreaming.returncode == 130
    assert f"{tmp_path / 'away/f.mkv'} is the dream so far; run the same command to continue" in errors
    assert ends(child)
    slow.kill()
    farm.worker()
    done = farm.run(*words)
    assert done.returncode == 0, done.stderr
    assert "continues from frame " in done.stdout
    assert (tmp_path / "away/f.mkv").read_bytes() == alone


def test_no_worker_ever_comes(farm: Farm, video: Path, both: Callable[..., tuple[list[str], bytes]],
                              tmp_path: Path) -> None:
    words, _ = both(video, "f.gif")
    dreaming = farm.command(*words)
    assert dreaming.stderr
    until(lambda: "waiting for workers" in (dreaming.stderr.readline() if dreaming.stderr else ""))
    dreaming.send_signal(signal.SIGINT)
    _, errors = dreaming.communicate(timeout=MANY)
    assert dreaming.returncode == 130
    assert "nothing was written" in errors
    assert names(tmp_path / "away") == []
