"""Dreams on many machines: the same bytes as on one, whatever happens to the workers, and nothing for strangers."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from containers import OWNER, run
from dreamer.nets.model import Model
from dreamer.pictures.recipe import read_recipe
from farms import MANY, SCRIPT, Farm, child_of, end, until
from helpers import ROOT, dreams, ends, is_running, made, mounted, names, pixels, search, wait_for

pytestmark = pytest.mark.slow

HOW = ("mix/output", "20", "2", "--seed", "1")
LONG = ("mix/output", "4000", "1", "--seed", "1")


@pytest.fixture
def words(tiny: Model) -> list[str]:
    return [*HOW, "--model", str(tiny.folder)]


def here(folder: Path, words: list[str]) -> dict[str, bytes]:
    """{name: bytes} of the dreams that this machine alone makes of the pictures in a folder."""
    made([SCRIPT, folder, folder.parent / "alone", *words, "--quiet"])
    return dreams(folder.parent / "alone")


# the same bytes ------------------------------------------------------------------------------------------

def test_a_folder_is_dreamed_as_on_one_machine(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    """With a guide and a mask; a damaged picture is told, and the others are dreamed."""
    Image.linear_gradient("L").resize((90, 60)).save(tmp_path / "mask.png")
    Image.radial_gradient("L").save(tmp_path / "guide.png")
    words += ["--guide", str(tmp_path / "guide.png"), "--mask", str(tmp_path / "mask.png"), "--smooth", "1"]
    alone = here(photos, words)
    (photos / "c.jpg").write_bytes(b"no picture")
    farm.worker()
    farm.worker()
    done = farm.run(photos, tmp_path / "away", *words)
    assert done.returncode == 1
    assert "dreamify: 1 of 4 pictures could not be dreamed:" in done.stderr
    assert "dreamify: c.jpg: " in done.stderr
    assert dreams(tmp_path / "away") == alone
    assert len(alone) == 3
    again = farm.run(photos, tmp_path / "away", *words)
    assert "3 dreams are up to date" in again.stdout


def test_one_picture_and_one_from_nothing(farm: Farm, sky: Path, words: list[str], tmp_path: Path) -> None:
    farm.worker()
    for source in (sky, "noise:90x60"):
        made([SCRIPT, source, tmp_path / "alone.png", *words, "--max-size", "90", "--quiet"])
        done = farm.run(source, tmp_path / "away.png", *words, "--max-size", "90")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.count("away.png: done") == 1
        assert (tmp_path / "away.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_a_zoom_and_a_film_of_steps(farm: Farm, small: Path, words: list[str], tmp_path: Path) -> None:
    farm.worker()
    for name, more in (("zoom.gif", ["--zoom", "3"]), ("steps-%02d.png", [])):
        for place, dreamed in (("alone", lambda *words: made([SCRIPT, *words])), ("away", farm.run)):
            (tmp_path / place).mkdir(exist_ok=True)
            assert dreamed(small, tmp_path / place / name, *words, *more).returncode == 0
    assert len(names(tmp_path / "away")) > 10
    assert {path.name: path.read_bytes() for path in (tmp_path / "away").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}


def test_an_atlas(farm: Farm, small: Path, tiny: Model, tmp_path: Path) -> None:
    farm.worker()
    farm.worker()
    words = ["*", "3", "1", "--model", str(tiny.folder)]
    made([SCRIPT, "atlas", small, tmp_path / "alone.png", *words, "--quiet"])
    done = farm.run("atlas", small, tmp_path / "away.png", *words)
    assert done.returncode == 0, done.stderr
    assert (pixels(tmp_path / "away.png") == pixels(tmp_path / "alone.png")).all()


def test_a_net_that_all_machines_have(farm: Farm, photos: Path, tmp_path: Path) -> None:
    """Its weights do not travel. Two workers with unlike instructions share the pictures, and give the same bytes with
    --reproducible."""
    if " avx512f " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512")
    words = ["conv2/3x3", "300", "2", "--seed", "1", "--model", "daydream", "--reproducible"]
    alone = here(photos, words)
    workers = {isa: farm.worker(NATIVE_ISA=isa) for isa in ("avx2", "avx512")}
    dreaming = farm.command(photos, tmp_path / "away", *words)
    for isa, worker in workers.items():
        assert f"NATIVE_ISA={isa}" in Path(f"/proc/{child_of(worker)}/environ").read_text().split("\0")
    assert dreaming.wait(300) == 0
    assert dreams(tmp_path / "away") == alone


def test_a_farm_on_this_machine_alone(photos: Path, words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    alone = here(photos, words)
    made([SCRIPT, photos, tmp_path / "away", *words, "--farm", "local"])
    assert dreams(tmp_path / "away") == alone


def test_a_watched_folder(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    alone = here(photos, words)
    farm.worker()
    (tmp_path / "away").mkdir()
    watching = farm.command(photos, tmp_path / "away", *words, "--watch")
    until(lambda: dreams(tmp_path / "away") == alone)
    Image.new("RGB", (64, 64), "red").save(photos / "new.png")
    until(lambda: (tmp_path / "away/new-dream.png").exists())
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(MANY) == 143


# what may happen -----------------------------------------------------------------------------------------

def test_a_worker_is_killed(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    """Its dream is dreamed by another, and its process is gone."""
    words = [*LONG, *words[len(HOW):]]
    alone = here(photos, words)
    victim = farm.worker()
    dreaming = farm.command(photos, tmp_path / "away", *words)
    child = child_of(victim)
    farm.worker()
    victim.kill()
    assert ends(child)
    assert dreaming.wait(300) == 0
    assert dreams(tmp_path / "away") == alone


def test_a_dream_that_ends_every_worker_is_given_up(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    for name in names(photos)[1:]:
        (photos / name).unlink()
    Image.new("RGB", (64, 64)).save(photos / "a.png")
    dreaming = farm.command(photos, tmp_path / "away", "mix/output", "1000000", "1", *words[5:])
    for _ in range(3):
        victim = farm.worker()
        child_of(victim)
        victim.kill()
    farm.worker()
    out, errors = dreaming.communicate(timeout=MANY)
    assert dreaming.returncode == 1, out
    assert "a.png: it ended 3 workers, one after the other" in errors


def test_a_stop_keeps_what_is_done_and_the_same_command_continues(farm: Farm, photos: Path, words: list[str],
                                                                 tmp_path: Path) -> None:
    alone = here(photos, words)
    worker = farm.worker()
    Image.new("RGB", (640, 640)).save(photos / "z.png")
    dreaming = farm.command(photos, tmp_path / "away", "mix/output", "1000000", "1", *words[3:])
    child = child_of(worker)
    dreaming.send_signal(signal.SIGINT)
    assert "run the same command to continue" in dreaming.communicate(timeout=MANY)[1]
    assert dreaming.returncode == 130
    assert ends(child)
    (photos / "z.png").unlink()
    assert worker.poll() is None
    assert farm.run(photos, tmp_path / "away", *words).returncode == 0
    assert dreams(tmp_path / "away") == alone


def test_a_picture_that_is_stopped_is_seen_and_goes_on(farm: Farm, sky: Path, words: list[str], tmp_path: Path) -> None:
    """Its preview grows while a worker dreams it. Then that brings what it has, from which another one goes on."""
    words = [str(sky), str(tmp_path / "away.jpg"), "mix/output", "100", *words[2:], "--max-size", "400", "--preview",
             str(tmp_path / "seen.jpg"), "--events", str(tmp_path / "happened")]
    made([SCRIPT, *words[:1], tmp_path / "alone.jpg", *words[2:-4], "--quiet"])
    slow = farm.slow_worker(20, 0.2)
    dreaming = farm.command(*words)
    until(lambda: (tmp_path / "seen.jpg").exists())
    first = pixels(tmp_path / "seen.jpg")
    until(lambda: (pixels(tmp_path / "seen.jpg") != first).any())
    assert first.shape == pixels(tmp_path / "alone.jpg").shape
    child = child_of(slow)
    dreaming.send_signal(signal.SIGINT)
    _, errors = dreaming.communicate(timeout=MANY)
    assert dreaming.returncode == 130
    assert errors == (f"dreamify: stopped by SIGINT: {tmp_path / 'away.jpg'} is the dream so far; run the same command "
                      "to continue\n")
    assert ends(child)
    assert read_recipe(tmp_path / "away.jpg")["unfinished"]["octave"] == 1
    assert {"began", "step", "preview", "farmed"} <= told(tmp_path / "happened")
    slow.kill()
    farm.slow_worker(0, 0.01)
    done = farm.run(*words)
    assert done.returncode == 0, done.stderr
    assert "continues from octave 1, iteration " in done.stdout
    assert (tmp_path / "away.jpg").read_bytes() == (tmp_path / "alone.jpg").read_bytes()
    assert names(tmp_path) == ["alone.jpg", "away.jpg", "farm", "happened", "seen.jpg"]


@pytest.mark.parametrize("name", ["steps.gif", "steps-%02d.png"])
def test_a_film_of_steps_that_is_stopped_goes_on(farm: Farm, sky: Path, words: list[str], tmp_path: Path,
                                                 name: str) -> None:
    """On another worker, or without the farm. What an earlier film of that name left is not used."""
    words = [*words, "--max-size", "200", "--preview", str(tmp_path / "seen.jpg")]
    places = alone, away = tmp_path / "alone", tmp_path / "away"
    for place in places:
        place.mkdir()
    made([SCRIPT, sky, alone / name, *words, "--quiet"])
    earlier = away / f".{name}.film"
    earlier.mkdir()
    (earlier / "000000.mp4").write_bytes(b"of another film")
    slow = farm.slow_worker(20, 0.3)
    (tmp_path / "seen.jpg").unlink()
    dreaming = farm.command(sky, away / name, *words)
    until(lambda: (tmp_path / "seen.jpg").exists())
    dreaming.send_signal(signal.SIGINT)
    _, errors = dreaming.communicate(timeout=MANY)
    assert dreaming.returncode == 130
    assert f"{away / name} is the dream so far; run the same command to continue" in errors
    assert earlier.is_dir()
    assert not (earlier / "000000.mp4").exists()
    slow.kill()
    if "%" in name:
        done = made([SCRIPT, sky, away / name, *words])
    else:
        farm.worker()
        done = farm.run(sky, away / name, *words)
    assert "continues from octave " in done.stdout
    assert {path.name: path.read_bytes() for path in away.iterdir()} == {
        path.name: path.read_bytes() for path in alone.iterdir()}


@pytest.mark.parametrize(("name", "lacking"), [("away.jpg", ".away.jpg.dreaming"),
                                               ("away.gif", ".away.gif.film/.dream.dreaming")])
def test_a_stopped_dream_that_cannot_be_kept_is_told(farm: Farm, sky: Path, words: list[str], tmp_path: Path,
                                                     name: str, lacking: str) -> None:
    """There is no state of a dream without the frames before."""
    farm.slow_worker(20, 0.3)
    with mounted(tmp_path / "disk", "200k") as disk:
        dreaming = farm.command(sky, disk / name, *words, "--max-size", "200", "--preview", tmp_path / "seen.jpg")
        until(lambda: (tmp_path / "seen.jpg").exists())
        dreaming.send_signal(signal.SIGINT)
        _, errors = dreaming.communicate(timeout=MANY)
        assert not (disk / lacking).exists()
    assert dreaming.returncode == 130
    assert search(rf"warning: {disk}/\.\S+ could not be written: No space left on device", errors)
    assert "dreamify: stopped by SIGINT: 0 dreams came back before; run the same command to continue" in errors


def told(path: Path) -> set[str]:
    """The kinds of the events in a file."""
    return {json.loads(line)["event"] for line in path.read_text().splitlines()}


def test_a_worker_that_hangs_does_not_hold_up_the_end(farm: Farm, photos: Path, tmp_path: Path) -> None:
    """What it has is tried elsewhere, and nothing is written twice."""
    words = ["conv2/3x3", "2", "2", "--seed", "1", "--model", "daydream"]
    alone = here(photos, words)
    stuck = farm.worker()
    farm.worker()
    stuck.send_signal(signal.SIGSTOP)
    done = farm.run(photos, tmp_path / "away", *words)
    stuck.send_signal(signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert dreams(tmp_path / "away") == alone
    assert done.stdout.count("a2-dream.PNG: done") == 1


_PATIENT = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
from dreamer.farm import engine
for name in ("scheduler.worker-ttl", "comm.timeouts.tcp"):
    engine._SETTINGS["distributed." + name] = "1 hour"
sys.argv[0] = sys.argv.pop(1) + "/dreamify.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def be_patient(farm: Farm) -> None:
    """Give the farm a scheduler that waits an hour before it counts a worker that hangs as gone."""
    patient = farm.start("scheduler", "--port", "0", program=[sys.executable, "-c", _PATIENT, ROOT])
    farm.address = "tls://" + wait_for(patient, "tls://").partition("tls://")[2].partition(";")[0]


def test_a_worker_that_alone_holds_the_guide_and_hangs_holds_up_nobody(farm: Farm, photos: Path, sky: Path,
                                                                       tmp_path: Path) -> None:
    words = ["conv2/3x3", "4", "2", "--seed", "1", "--model", "daydream", "--guide", str(sky)]
    alone = here(photos, words)
    be_patient(farm)
    stuck = farm.worker()
    process = farm.command(photos, tmp_path / "away", *words)
    child_of(stuck)  # it has begun, so it has the guide
    stuck.send_signal(signal.SIGSTOP)
    farm.worker()
    told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert dreams(tmp_path / "away") == alone
    assert "2 workers" in farm.status()[0]


_SPENT = """
import os, sys, time
sys.path.insert(0, sys.argv.pop(1))
import dreamify
from dreamer.farm import engine

async def end(*_, **__):
    print("no more", flush=True)
    time.sleep(1000 if spent == "hangs" else 0)
    os._exit(1)

spent = sys.argv.pop(1)
engine.load().Worker.get_data = end
sys.exit(dreamify.main(sys.argv[1:]))
"""


@pytest.fixture(params=["hangs", "dies"])
def fetching(request: pytest.FixtureRequest, farm: Farm, photos: Path, words: list[str],
             tmp_path: Path) -> "subprocess.Popen[str]":
    """A command that waits for the result of its only worker, which hangs or dies."""
    be_patient(farm)
    spent = farm.start("worker", farm.address, "--threads", "1",
                       program=[sys.executable, "-c", _SPENT, ROOT, request.param])
    dreaming = farm.command(photos, tmp_path / "away", *words)
    wait_for(spent, "no more")
    return dreaming


def test_a_dream_that_cannot_be_fetched_is_made_by_others(farm: Farm, fetching: "subprocess.Popen[str]", photos: Path,
                                                          words: list[str], tmp_path: Path) -> None:
    """Long before the scheduler counts the worker as gone, if it hangs."""
    farm.worker()
    told = fetching.communicate(timeout=MANY)
    assert fetching.returncode == 0, told
    assert dreams(tmp_path / "away") == here(photos, words)


def test_a_dream_that_cannot_be_fetched_does_not_hold_up_a_stop(fetching: "subprocess.Popen[str]") -> None:
    fetching.send_signal(signal.SIGINT)
    assert fetching.wait(45) == 130


def test_a_full_disk_on_one_worker(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    alone = here(photos, words)
    with mounted(tmp_path / "disk", "64k") as disk:
        full = farm.worker(TMPDIR=str(disk))
        farm.worker()
        done = farm.run(photos, tmp_path / "away", *words)
        end(full)
    assert done.returncode == 0, done.stderr
    assert dreams(tmp_path / "away") == alone


def test_the_scheduler_dies(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    worker = farm.worker()
    dreaming = farm.command(photos, tmp_path / "away", "mix/output", "1000000", "1", *words[3:])
    child = child_of(worker)
    farm.scheduler.kill()
    out, errors = dreaming.communicate(timeout=2 * MANY)
    assert dreaming.returncode == 1, out
    assert search(r"^dreamify: the farm's scheduler at tls://\S+ is gone; run the same command to continue$",
                  errors.strip())
    assert ends(child)
    wait_for(worker, "the scheduler is gone")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(MANY) == 143


@pytest.fixture
def faketime() -> str:
    """The path of the library that changes what a process takes for the time."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        pytest.skip("no libfaketime: apt-get install libfaketime")
    return str(library)


def test_clocks_ten_minutes_apart(farm: Farm, photos: Path, words: list[str], faketime: str, tmp_path: Path) -> None:
    alone = here(photos, words)
    farm.worker(LD_PRELOAD=faketime, FAKETIME="-10m")
    farm.worker(LD_PRELOAD=faketime, FAKETIME="+10m")
    done = farm.run(photos, tmp_path / "away", *words)
    assert done.returncode == 0, done.stderr
    assert dreams(tmp_path / "away") == alone


def test_a_clock_at_which_the_keys_are_not_valid(farm: Farm, sky: Path, faketime: str, tmp_path: Path) -> None:
    """A worker and a command tell that, instead of calling the keys those of another farm."""
    for shift, command in (("-3d", ["farm", "worker", farm.address]),
                           ("+5000d", [str(sky), str(tmp_path / "d.png"), "--farm", farm.address])):
        done = subprocess.run([SCRIPT, *command], env=farm.environment | {"LD_PRELOAD": faketime, "FAKETIME": shift},
                              capture_output=True, text=True, check=False, timeout=MANY)
        assert done.returncode == 1
        assert search(r"^dreamify: by this machine's clock \(\d{4}-\d\d-\d\d\), the keys of the farm at tls://\S+ are "
                      "not valid: set the clock, or make new keys$", done.stderr.splitlines()[-1])


# too little memory ---------------------------------------------------------------------------------------

def test_a_worker_without_the_memory_does_not_get_the_dream(farm: Farm, sky: Path, words: list[str],
                                                            tmp_path: Path) -> None:
    farm.worker("--memory", "60m")
    words = [str(sky), str(tmp_path / "away.png"), *words]
    done = farm.run(*words)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("as this machine would: add --reproducible, or a smaller limit such as "
                                        "--memory 2g, to dream it in tiles")
    farm.worker()
    assert farm.run(*words).returncode == 0


# strangers -----------------------------------------------------------------------------------------------

def test_strangers_stay_outside(farm: Farm, tmp_path: Path) -> None:
    """A plain client, and one with the keys of another farm, on the scheduler's port and on a worker's."""
    worker = farm.worker()
    other = tmp_path / "other"
    made([SCRIPT, "farm", "keys", other])
    ports = [port for process in (farm.scheduler, worker) for port in listening(process.pid)]
    assert len(ports) == 2  # nothing else listens: no page
    for port in ports:
        for guard in (False, True):
            assert refused(port, other if guard else None)
            assert not refused(port, farm.keys)
    told = subprocess.run([SCRIPT, "farm", "status", farm.address], capture_output=True, text=True, check=False,
                          env=farm.environment | {"DREAMER_FARM_KEYS": str(other)}, timeout=MANY)
    assert told.returncode == 1
    assert told.stderr == (f"dreamify: the scheduler at {farm.address} belongs to another farm: its keys are not those "
                           "of this machine\n")


def listening(pid: int) -> list[int]:
    """The ports at which a process listens, and at which address: only the loopback."""
    found = subprocess.run(["ss", "-tlnpH"], capture_output=True, text=True, check=True).stdout
    lines = [line.split()[3] for line in found.splitlines() if f"pid={pid}," in line]
    assert all(line.startswith("127.0.0.1:") for line in lines)
    return [int(line.rpartition(":")[2]) for line in lines]


def refused(port: int, keys: Path | None) -> bool:
    """Whether the engine closes a connection with these keys, or without TLS, before it says anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=MANY) as raw:
        try:
            if keys is None:
                raw.sendall(b"\0" * 64)
                return raw.recv(1) == b""
            context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
            context.check_hostname = False
            context.load_cert_chain(str(keys / "farm.pem"), str(keys / "farm.key"))
            with context.wrap_socket(raw) as safe:
                return safe.recv(1) == b""
        except OSError:
            return True


def test_keys_that_others_can_read_are_refused(farm: Farm) -> None:
    (farm.keys / "farm.key").chmod(0o644)
    told = subprocess.run([SCRIPT, "farm", "status", farm.address], capture_output=True, text=True, check=False,
                          env=farm.environment, timeout=MANY)
    assert told.returncode == 2
    assert "others can read the farm's key" in told.stderr


# likeness ------------------------------------------------------------------------------------------------

def test_a_worker_with_other_weights_is_refused(farm: Farm, tiny: Model) -> None:
    worker = farm.start("worker", farm.address, DREAMER_WEIGHTS_DAYDREAM=str(tiny.folder / "tiny.caffemodel"))
    out, errors = worker.communicate(timeout=MANY)
    assert worker.returncode == 1, out
    assert errors == ("dreamify: this machine has other weights of 1 model than the farm (daydream): use the same "
                      "image on all machines\n")


def test_status_says_what_the_workers_do(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    assert search("0 workers; image-dreamer", farm.status()[0])
    worker = farm.worker("--memory", "3g")
    assert "1 core, 3072 MB of memory, 1 dream at a time" in farm.status()[1]
    assert farm.status()[2] == "  waits for work"
    farm.command(photos, tmp_path / "away", "mix/output", "1000000", "1", *words[3:])
    child_of(worker)
    assert search(r"^  \S+: [\d.]+%", until(lambda: [line for line in farm.status() if "%" in line])[0])


def test_it_waits_for_workers_and_says_so(farm: Farm, photos: Path, words: list[str], tmp_path: Path) -> None:
    dreaming = farm.command(photos, tmp_path / "away", *words, "--events", tmp_path / "events.jsonl")
    until(lambda: (tmp_path / "events.jsonl").exists() and "waiting for workers" in
          (tmp_path / "events.jsonl").read_text())
    farm.worker()
    assert dreaming.wait(MANY) == 0
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    last = [event for event in told if event["event"] == "farmed"][-1]
    assert last["done"] == last["total"] > 0
    assert last["left"] == 0


def test_nobody_waits_for_a_worker_if_nothing_is_to_do(farm: Farm, photos: Path, words: list[str],
                                                       tmp_path: Path) -> None:
    made([SCRIPT, photos, tmp_path / "dreams", *words, "--quiet"])
    done = farm.run(photos, tmp_path / "dreams", *words)
    assert done.returncode == 0, done.stderr
    assert "3 dreams are up to date" in done.stdout
    assert "waiting" not in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "tls://127.0.0.1:1"])
def test_no_scheduler_answers(farm: Farm, sky: Path, address: str, tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, sky, tmp_path / "d.png", "--farm", address], capture_output=True, text=True,
                          check=False, env=farm.environment, timeout=MANY)
    assert done.returncode == 1
    assert "no scheduler of a farm answers at tls://127.0.0.1:1; start one there with: " in done.stderr


def test_a_stop_before_anything_answers_ends_at_once(farm: Farm, sky: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it never answers
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen([SCRIPT, sky, tmp_path / "d.png", "--farm", address], env=farm.environment)
        silent.settimeout(MANY)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(MANY) == 130
        connection.close()
        print(f"ended after {time.monotonic() - began:.1f} s")
    assert not is_running(process.pid)
    assert os.listdir(tmp_path) == ["farm"]


# containers ----------------------------------------------------------------------------------------------

@pytest.fixture
def compose(docker: str) -> list[str]:
    """The command docker compose, or the older docker-compose."""
    for command in ([docker, "compose"], ["docker-compose"]):
        with contextlib.suppress(OSError):
            if run(*command, "version", ok=False).returncode == 0:
                return command
    pytest.skip("no docker compose: apt-get install docker-compose")


@pytest.mark.container
def test_the_compose_file(docker: str, farm_image: str, compose: list[str], tmp_path: Path) -> None:
    """The commands of docs/farm.md, with two workers; then without one of them."""
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.effect_noise((80, 60 + number), 40).convert("RGB").save(tmp_path / f"photos/{number}.png")
    made([SCRIPT, "farm", "keys", tmp_path / "keys"])
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, *OWNER)
    environment = os.environ | {"FARM_IMAGE": farm_image, "FARM_KEYS": str(tmp_path / "keys"),
                                "FARM_PHOTOS": str(tmp_path), "COMPOSE_PROJECT_NAME": f"farm{os.getpid()}"}

    def composed(*words: str) -> str:
        done = run(*compose, "-f", ROOT / "dreamer/farm/compose.yaml", *words, env=environment)
        return str(done.stdout)

    words = ["photos", "dreams", "conv2/3x3", "3", "2", "--seed", "1", "--model", "daydream"]
    try:
        composed("up", "-d", "--scale", "worker=2", "scheduler", "worker")
        composed("run", "--rm", "dream", *words)
        found = dreams(tmp_path / "dreams")
        assert {path.stat().st_uid for path in (tmp_path / "dreams").iterdir()} == {OWNER[0]}
        shutil.rmtree(tmp_path / "dreams")
        run(docker, "kill", composed("ps", "-q", "worker").split()[0])
        composed("run", "--rm", "--no-deps", "dream", *words)
        assert dreams(tmp_path / "dreams") == found
        shutil.rmtree(tmp_path / "dreams")
        composed("run", "--rm", "dream", *words, "--farm", "none")
        assert dreams(tmp_path / "dreams") == found
        assert len(found) == 3
    finally:
        composed("down")


@pytest.mark.container
def test_the_three_commands_on_two_machines(docker: str, farm_image: str, sky: Path, tmp_path: Path) -> None:
    """The commands of docs/farm.md, typed in two containers as they stand, except that the address is that of the
    first. The dreams have the bytes of those of one machine."""
    page = (ROOT / "docs/farm.md").read_text().partition("## Real machines")[2].partition("\n## ")[0]
    new_keys, scheduler, worker = (search(rf"^{number}\. .*?`(\./dreamify\.py [^`]*)`", page, re.M)[1]
                                   for number in (1, 2, 3))
    there, status = search(r"`(--farm tls:[^`]*)` dreams there, and `([^`]*)`", page).groups()
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.open(sky).resize((60, 40 + number)).save(tmp_path / f"photos/{number}.png")
    network = f"farm-{os.getpid()}"
    machines = [f"{network}-1", f"{network}-2"]

    def typed(machine: str, line: str, *more: str) -> str:
        return str(run(docker, "exec", *more, "--workdir", "/opt/image-dreamer", machine, "sh", "-c",
                       line.replace("192.168.1.5", address)).stdout)

    run(docker, "network", "create", network)
    try:
        for name in machines:
            run(docker, "run", "--detach", "--name", name, "--network", network, "--volume", f"{tmp_path}:/vagrant",
                "--entrypoint", "sleep", farm_image, "infinity")
        address = run(docker, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                      machines[0]).stdout.strip()
        typed(machines[0], new_keys)
        run(docker, "cp", f"{machines[0]}:/opt/image-dreamer/FOLDER", tmp_path / "keys")
        for name in machines:
            typed(name, "mkdir -p ~/.config/image-dreamer")
            run(docker, "cp", tmp_path / "keys", f"{name}:/root/.config/image-dreamer/farm")
        typed(machines[0], scheduler, "--detach")
        for name in machines:
            typed(name, worker, "--detach")
        until(lambda: ": 2 workers; " in typed(machines[1], f"{status} || true"))
        typed(machines[1], f"./dreamify.py /vagrant/photos /vagrant/away --seed 1 {there}")
        typed(machines[1], "./dreamify.py /vagrant/photos /vagrant/alone --seed 1")
        assert len(dreams(tmp_path / "away")) == 2
        assert dreams(tmp_path / "away") == dreams(tmp_path / "alone")
    finally:
        run(docker, "rm", "--force", *machines, ok=False)
        run(docker, "network", "rm", network, ok=False)
