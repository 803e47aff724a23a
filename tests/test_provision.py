"""Tests of provision.sh: the sources of Caffe, the messages, and a second run.

The test command and the container tests run all its steps, from the packages to a dream."""

import contextlib
import hashlib
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamer.nets import prototxt
from helpers import ROOT, Word, search

FILES = {"CMakeLists.txt": "project(Caffe)\n", "src/caffe.cpp": "// deep\n", "a name with spaces": "x"}


def bash(script: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `script` with the functions of provision.sh, a build folder and a log."""
    build = tmp_path / "prefix/build"
    build.mkdir(parents=True, exist_ok=True)
    setup = f"source {ROOT}/provision.sh; dev=false; cache=false; step=test; log={tmp_path}/log; distribution\n"
    return subprocess.run(["bash", "-c", setup + script], capture_output=True, text=True, check=False, timeout=300,
                          env=os.environ | {"DREAMER_PREFIX": str(tmp_path / "prefix")} | variables)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree that stands in for Caffe's."""
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def checksum(tree: Path, tmp_path: Path) -> str:
    return bash(f"checksum {tree}", tmp_path).stdout.strip()


@pytest.fixture
def repository(tree: Path, tmp_path: Path) -> tuple[str, str]:
    """(URL, commit) of a git repository with the tree."""
    folder = tmp_path / "repository"
    git: list[Word] = ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["cp", "-R", tree, folder], check=True)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "tree"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return f"file://{folder}", commit


def fetch(tmp_path: Path, checksum: str, *, distribution: bool = False,
          **variables: str) -> subprocess.CompletedProcess[str]:
    """Run fetch_caffe for a tree with this checksum, without the distribution's archive unless requested."""
    without = "" if distribution else "source_distribution() { place=archive; why='not in this test'; return 1; }; "
    return bash(f"{without}caffe_sha256={checksum}; fetch_caffe {tmp_path}/prefix/build/tree", tmp_path, **variables)


def fetched(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "prefix/build/tree"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_ones_own_comes_first(tree: Path, checksum: str, tmp_path: Path) -> None:
    done = fetch(tmp_path, checksum, CAFFE_SOURCE=str(tree))
    assert done.returncode == 0, done.stderr
    assert f"source from CAFFE_SOURCE, {tree}" in done.stdout
    assert fetched(tmp_path) == FILES


@pytest.mark.parametrize("top", [".", "caffe-1.0"])
def test_an_archive_of_ones_own_will_do(tree: Path, checksum: str, tmp_path: Path, top: str) -> None:
    with tarfile.open(tmp_path / "caffe.tar.gz", "w:gz") as archive:
        archive.add(tree, top)
    assert fetch(tmp_path, checksum, CAFFE_SOURCE=str(tmp_path / "caffe.tar.gz")).returncode == 0
    assert fetched(tmp_path) == FILES


def test_git_is_next_at_the_pinned_commit(checksum: str, repository: tuple[str, str], tmp_path: Path) -> None:
    done = fetch(tmp_path, checksum, CAFFE_GIT=repository[0], CAFFE_COMMIT=repository[1])
    assert done.returncode == 0, done.stdout
    assert f"source from git, {repository[0]}" in done.stdout
    assert fetched(tmp_path) == FILES


@pytest.mark.parametrize("wrong", ["nowhere", "not an archive", "other content"])
def test_a_wrong_source_is_told_and_the_next_is_tried(tree: Path, checksum: str, repository: tuple[str, str],
                                                      tmp_path: Path, wrong: str) -> None:
    source = tmp_path / "source"
    if wrong == "not an archive":
        source.write_text("no archive")
    elif wrong == "other content":
        subprocess.run(["cp", "-R", tree, source], check=True)
        (source / "src/caffe.cpp").write_text("// shallow\n")
    done = fetch(tmp_path, checksum, CAFFE_SOURCE=str(source), CAFFE_GIT=repository[0], CAFFE_COMMIT=repository[1])
    assert done.returncode == 0
    told = [line for line in done.stdout.splitlines() if "no source from" in line]
    assert len(told) == 1
    assert str(source) in told[0]
    assert fetched(tmp_path) == FILES


def test_a_commit_that_is_not_there_is_told(checksum: str, repository: tuple[str, str], tmp_path: Path) -> None:
    done = fetch(tmp_path, checksum, CAFFE_GIT=repository[0], CAFFE_COMMIT="0" * 40)
    assert done.returncode == 1
    assert "the commit cannot be fetched" in done.stdout
    assert "CAFFE_SOURCE" in done.stderr


def test_a_host_that_does_not_resolve_or_refuses_fails_at_once(checksum: str, tmp_path: Path) -> None:
    for url in ("https://no-such-host.invalid/caffe.git", "http://127.0.0.1:1/caffe.git"):
        done = fetch(tmp_path, checksum, CAFFE_GIT=url)
        assert done.returncode == 1
        assert f"no source from git, {url} (curl:" in done.stdout


def test_a_host_that_accepts_and_says_nothing_is_given_up(checksum: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held = []
        threading.Thread(target=lambda: held.append(silent.accept()), daemon=True).start()
        done = fetch(tmp_path, checksum, CAFFE_GIT=f"http://127.0.0.1:{silent.getsockname()[1]}/caffe.git")
    assert done.returncode == 1
    assert "timed out" in done.stdout


def test_the_distributions_archive_comes_last_and_apts_own_state_stays_as_it_is(tmp_path: Path) -> None:
    """With the real archive, from this machine's mirror, the tree is the pinned one."""
    def state() -> str:
        find = "find /etc/apt /var/lib/apt/lists /var/cache/apt -type f | sort | xargs -d '\\n' stat -c '%n %s %Y'"
        return subprocess.run(find, shell=True, capture_output=True, text=True, check=True).stdout
    if bash("apt_mirror", tmp_path).returncode:
        pytest.skip("this machine's apt has no mirror")
    pinned = bash("echo $caffe_sha256", tmp_path).stdout.strip()
    for _ in range(3):  # because another program may change it meanwhile, such as the system's daily update
        before = state()
        shutil.rmtree(tmp_path / "prefix/build/tree", ignore_errors=True)
        done = fetch(tmp_path, pinned, distribution=True, CAFFE_GIT="http://127.0.0.1:1/caffe.git")
        if "apt cannot fetch it" in done.stdout:
            pytest.skip("the mirror cannot be reached")
        assert done.returncode == 0, done.stdout
        assert "by apt" in done.stdout.splitlines()[-1]
        if (after := state()) == before:
            break
    assert after == before
    for name in ("src/caffe/net.cpp", "models/bvlc_googlenet/deploy.prototxt"):
        assert name in fetched_names(tmp_path)
    (tmp_path / "a folder with spaces").symlink_to(ROOT)
    patched = bash(f"here='{tmp_path}/a folder with spaces'; prepare_caffe {tmp_path}/prefix/build/tree", tmp_path)
    assert patched.returncode == 0, patched.stderr


def fetched_names(tmp_path: Path) -> set[str]:
    folder = tmp_path / "prefix/build/tree"
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_interrupted_build_goes_on_where_it_was(tmp_path: Path) -> None:
    script = """
        step_toolchain() { :; }; fetch_caffe() { echo fetched; }; prepare_caffe() { :; }
        compile_caffe() {
            mkdir -p "$build/out"; ls "$build/out"; touch "$build/out/object"; [ -z "$power_cut" ] || exit 9
        }
        install_caffe() { echo "installed $1" | cut -c1-9; }
        step_caffe
    """
    cut = bash(script, tmp_path, power_cut="1")
    assert (cut.returncode, "fetched" in cut.stdout, "installed" in cut.stdout) == (9, True, False)
    on = bash(script, tmp_path, power_cut="")
    assert on.returncode == 0, on.stderr
    assert "fetched" not in on.stdout
    assert "object" in on.stdout
    assert "installed" in on.stdout


def test_objects_that_a_power_cut_broke_are_built_again(tmp_path: Path) -> None:
    script = """
        step_toolchain() { :; }; fetch_caffe() { :; }; prepare_caffe() { :; }
        compile_caffe() { [ ! -e "$build/out/broken" ] || return 1; mkdir -p "$build/out"; }
        install_caffe() { echo installed; }
        mkdir -p "$build/out"; touch "$build/out/broken"; caffe_key >"$build/key"
        step_caffe
    """
    done = bash(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "installed" in done.stdout


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    done = bash("logged 'the thing' bash -c 'seq 100; exit 7'", tmp_path)
    assert done.returncode == 1
    assert "the thing failed (exit code 7)" in done.stderr
    assert f"{tmp_path}/log" in done.stderr
    assert "    100\n" in done.stderr
    assert "    50\n" not in done.stderr


@pytest.mark.parametrize(("cores", "megabytes", "jobs"), [(8, 64000, 8), (8, 4000, 3), (2, 900, 1), (1, 64000, 1)])
def test_jobs_are_limited_by_cores_and_by_memory(tmp_path: Path, cores: int, megabytes: int, jobs: int) -> None:
    done = bash(f"nproc() {{ echo {cores}; }}; free_megabytes() {{ echo {megabytes}; }}; build_jobs", tmp_path)
    assert done.stdout.strip() == str(jobs)


def test_free_memory_is_known(tmp_path: Path) -> None:
    assert 100 < int(bash("free_megabytes", tmp_path).stdout) < 10_000_000


# A kernel that accepts every swap file, or none
SWAPS = """
    list=$prefix/swaps; touch "$list"; swap_megabytes() { echo $SWAPPED; }; free_megabytes() { echo $FREE; }
    df() { echo $DISK; }; mkswap() { :; }; fallocate() { touch "$3"; }
    swapon() {
        case $1,$ALLOWED in
            --*) cat "$list" ;;
            *,true) echo "$1" >>"$list" ;;
            *) echo "swapon: $1: No" >&2; return 1 ;;
        esac
    }
    swapoff() { grep -vxF "$1" "$list" >"$list.new"; mv "$list.new" "$list"; }
    """
MACHINE = {"FREE": "600", "SWAPPED": "0", "DISK": "9000", "ALLOWED": "true"}


@pytest.mark.parametrize(("machine", "made", "said"), [
    ({}, True, "a swap file of 1024 MB"),
    ({"FREE": "1300"}, False, ""),
    ({"SWAPPED": "700"}, False, ""),
    ({"SWAPPED": "600"}, True, "a swap file of 512 MB"),
    ({"DISK": "1500"}, False, "continuing anyway (the disk has 1500 MB left"),
    ({"ALLOWED": "false"}, False, "continuing anyway (a swap file cannot be made here: No)"),
], ids=str)
def test_a_swap_file_where_memory_is_too_little_for_one_compiler(tmp_path: Path, machine: dict[str, str], made: bool,
                                                                 said: str) -> None:
    done = bash(SWAPS + 'swap_on; cat "$list"; swap_off; cat "$list"; ls "$prefix"', tmp_path, **MACHINE | machine)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count(str(tmp_path / "prefix/swap")) == made  # it existed, and is gone afterwards
    assert "swap\n" not in done.stdout.replace("prefix/swap\n", "")
    assert said in done.stdout
    assert said or not done.stdout.startswith("==>")


@pytest.mark.parametrize(("sent", "left"), [("INT", False), ("TERM", False), ("KILL", True), ("", False)])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes swap files")
def test_the_swap_file_goes_however_the_build_ends(tmp_path: Path, sent: str, left: bool) -> None:
    """With a real swap file, if the kernel permits one (in a container it refuses)."""
    prefix = tmp_path / "the prefix"
    script = f"""source {ROOT}/provision.sh
        step_toolchain() {{ :; }}; fetch_caffe() {{ :; }}; prepare_caffe() {{ :; }}; swap_megabytes() {{ echo 0; }}
        free_megabytes() {{ echo 1250; }}; compile_caffe() {{ echo compiling; $compile; }}
        main --no-cache $steps"""

    def start(steps: str, compile_: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["bash", "-c", script], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True, env=os.environ | {
                                    "DREAMER_PREFIX": str(prefix), "steps": steps, "compile": compile_})

    def swaps() -> int:
        return Path("/proc/swaps").read_text().count(str(prefix).replace(" ", "\\040"))

    build = start("caffe", "sleep 60" if sent else "false")
    assert build.stdout
    said = ""
    while not said.endswith("compiling\n"):
        line = build.stdout.readline()
        assert line, said
        said += line
    if allowed := "continuing anyway" not in said:
        assert "a swap file of 512 MB" in said
        assert swaps() == 1 or not sent
    else:
        assert "a swap file cannot be made here" in said
    while sent and build.poll() is None:  # repeated, because bash may miss a signal while it starts a child
        os.killpg(build.pid, getattr(signal, f"SIG{sent}"))
        time.sleep(0.5)
    assert build.wait(30) != 0
    assert (swaps(), (prefix / "swap").exists()) == ((1, True) if left and allowed else (0, False))
    if left:  # the next run removes it
        assert start("runtime", "").wait(60) == 0
        assert (swaps(), (prefix / "swap").exists()) == (0, False)


@pytest.mark.parametrize(("name", "version", "supported"), [
    ("debian", "12", True), ("debian", "13", True), ("ubuntu", "22.04", True), ("ubuntu", "24.04", True),
    ("debian", "11", False), ("fedora", "42", False)])
def test_other_systems_are_told_what_is_supported(tmp_path: Path, name: str, version: str, supported: bool) -> None:
    (tmp_path / "os").write_text(f'ID={name}\nVERSION_ID="{version}"\nPRETTY_NAME="{name} {version}"\n')
    done = bash("true", tmp_path, OS_RELEASE=str(tmp_path / "os"))
    assert (done.returncode == 0) is supported
    if not supported:
        assert done.stderr == (f"provision.sh: {name} {version} is not supported; "
                               "Debian 12 and 13 and Ubuntu 22.04 and 24.04 are\n")


def test_help_and_a_wrong_step() -> None:
    told = subprocess.run([ROOT / "provision.sh", "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("runtime", "toolchain", "caffe", "model", "check", "cross", "--dev", "--no-cache", "CAFFE_SOURCE",
                 "BVLC_GOOGLENET", "DREAMER_RELEASE"):
        assert word in told
    wrong = subprocess.run([ROOT / "provision.sh", "nosuch"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "nosuch" in wrong.stderr


@pytest.mark.parametrize(("said", "ends_well"), [("is not valid yet", True), ("is expired", False), ("", False)])
def test_a_clock_that_is_behind_does_not_matter_to_apt(tmp_path: Path, said: str, ends_well: bool) -> None:
    done = bash(f"""
        dpkg() {{ :; }}; dpkg-query() {{ :; }}
        apt() {{
            [ "$*" != update ] || {{ echo 'E: Release file for x {said}'; return 100; }}
            echo "apt $*" >&3
        }}
        apt_install things thing 3>&1""", tmp_path)
    assert (done.returncode == 0) is ends_well
    assert ("apt install -y --no-install-recommends thing" in done.stdout) is ends_well
    assert ("apt -o Acquire::Check-Date=false update" in done.stdout) is ends_well
    assert ends_well or "apt-get update failed" in done.stderr


def test_a_box_has_all_packages_for_dreaming(tmp_path: Path) -> None:
    """Those of Debian 13: otherwise `vagrant up` with a box would need a network."""
    system = tmp_path / "os-release"
    system.write_text("ID=debian\nVERSION_ID=13\n")
    done = bash(f"""OS_RELEASE={system}; distribution; prefix={tmp_path}
        apt_install() {{ shift; printf '%s\\n' "$@"; }}
        step_runtime""", tmp_path)
    assert done.returncode == 0, done.stderr
    box = search(r"^dreaming=\((.*?)\)", (ROOT / "dreamer/machine/box.sh").read_text(), re.M | re.S)[1].split()
    assert "python3-scipy" in done.stdout
    assert set(done.stdout.split()) <= set(box)


def test_a_clock_that_was_set_back_does_not_matter_to_make(tree: Path, tmp_path: Path) -> None:
    """All files of the tree are older than any object file, whatever the clock says during the build."""
    subprocess.run(["touch", "-d", "+2 days", tree / "CMakeLists.txt"], check=True)
    assert bash(f"logged() {{ :; }}; prepare_caffe {tree}", tmp_path).returncode == 0
    assert {time.gmtime(path.stat().st_mtime).tm_year for path in tree.rglob("*") if path.is_file()} == {2018}


@pytest.fixture(scope="session")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clones of the last commit: a usual one, and one as git for Windows makes it, in a folder with spaces."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    made = []
    for name, convert in (("plain", "false"), ("of a Windows user", "true")):
        made.append(tmp_path_factory.mktemp("clones") / name)
        subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-c", f"safe.directory={ROOT}/.git", "clone", "-q",
                        "-c", f"core.autocrlf={convert}", ROOT, made[-1]], check=True)
    return made


def test_a_checkout_by_git_for_windows_runs_in_linux(checkouts: list[Path], tmp_path: Path) -> None:
    """It has Linux line endings, and builds the same Caffe."""
    plain, windows = checkouts
    ends = subprocess.run(["git", "ls-files", "--eol"], cwd=windows, capture_output=True, text=True, check=True).stdout
    names = [line.partition("\t")[2] for line in ends.splitlines()]
    assert {"provision.sh", "dreamify.py", "Vagrantfile", "Dockerfile", "dreamer/machine/entrypoint.sh"} < set(names)
    assert [line for line in ends.splitlines() if line.partition("\t")[0].split()[1] not in ("w/lf", "w/-text")] == []
    for name in names:
        assert (windows / name).read_bytes() == (plain / name).read_bytes(), name
    keys = [bash(f"here='{folder}'; caffe_key", tmp_path).stdout for folder in checkouts]
    assert len(keys[0]) == 65
    assert keys[0] == keys[1]


@pytest.mark.xdist_group("machine")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_second_run_needs_no_network_and_minds_no_spaces(checkouts: list[Path], tmp_path: Path) -> None:
    """Runs all steps on this machine as it is, from a folder with spaces, through to a small dream."""
    if not os.path.exists("/opt/image-dreamer/key"):
        pytest.skip("this machine was not provisioned")
    if subprocess.run(["unshare", "--net", "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("this machine's root may not unshare its network")
    folder = checkouts[1]
    done = subprocess.run(["unshare", "--net", folder / "provision.sh"], cwd=tmp_path, capture_output=True, text=True,
                          check=False, env=os.environ | {"all_proxy": "http://127.0.0.1:1"})
    assert done.returncode == 0, done.stderr
    assert "installing" not in done.stdout
    assert "all is well" in done.stdout
    assert imported(tmp_path) == str(folder / "dreamify.py")  # of the clone that was provisioned last
    words: list[Word] = [ROOT / "provision.sh", "runtime", "shells"]  # which puts all back as it was
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert imported(tmp_path) == str(ROOT / "dreamify.py")


def imported(folder: Path) -> str:
    """The file that `import dreamify` finds from an unrelated folder."""
    script = "import os, dreamify; print(os.path.realpath(dreamify.__file__)); dreamify.keys(model='daydream')"
    return subprocess.run(["/usr/bin/python3", "-c", script], cwd=folder, capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"]}).stdout.strip()


def test_a_cache_in_a_folder_with_spaces(checkouts: list[Path], tmp_path: Path) -> None:
    done = cached(tmp_path, f"""here='{checkouts[1]}'; make_caffe; into_cache key; rm -r $prefix/lib; from_cache key
        cat $prefix/lib/libcaffe.so; rm -r "$here/.cache" """)
    assert done.stdout.splitlines()[-1] == "code", done.stderr


@pytest.mark.xdist_group("machine")
def test_a_second_run_finds_all_done() -> None:
    """On this machine as it is: the test command has provisioned it."""
    if os.geteuid() != 0 or not os.path.exists("/opt/image-dreamer/key"):
        pytest.skip("this machine was not provisioned, or this is not root")
    done = subprocess.run([ROOT / "provision.sh", "runtime", "caffe"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(line.endswith("already installed") for line in done.stdout.splitlines())


def test_films_are_a_step_of_their_own(tmp_path: Path) -> None:
    done = bash('apt_install() { shift; echo "$@"; }; step_film', tmp_path)
    assert done.stdout.split() == ["ffmpeg", "python3-opencv"]


def test_raw_photos_are_a_step_of_their_own(tmp_path: Path) -> None:
    done = bash('apt_install() { shift; echo "$@"; }; step_raw', tmp_path)
    assert done.stdout.split() == ["libraw-bin"]


@pytest.mark.parametrize(("name", "version", "has"), [("debian", "13", True), ("ubuntu", "22.04", False),
                                                       ("ubuntu", "24.04", True)])
def test_decoders_of_modern_pictures_belong_to_dreaming(tmp_path: Path, name: str, version: str, has: bool) -> None:
    (tmp_path / "os").write_text(f'ID={name}\nVERSION_ID="{version}"\n')
    done = bash('apt_install() { shift; echo "$@"; }; step_runtime', tmp_path, OS_RELEASE=str(tmp_path / "os"))
    assert "libheif-examples" in done.stdout.split()
    assert ("libjxl-tools" in done.stdout.split()) is has


def cached(tmp_path: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `script` with a fake installed Caffe (one text file), in an empty project folder that holds the cache."""
    (tmp_path / "project").mkdir(exist_ok=True)
    setup = f"""here={tmp_path}/project; cache=true; python_finds_caffe() {{ :; }}
        apt_install() {{ :; }}; python3() {{ :; }}
        make_caffe() {{ mkdir -p $prefix/lib $prefix/python/caffe $prefix/models/bvlc_googlenet
            echo libc6 >$prefix/packages; echo code >$prefix/lib/libcaffe.so
            touch $prefix/models/bvlc_googlenet/deploy.prototxt; }}
        """
    return bash(setup + script, tmp_path, **variables)


def test_a_finished_caffe_is_kept_and_taken(tmp_path: Path) -> None:
    done = cached(tmp_path, """make_caffe; into_cache 0123456789abcdef0; rm -r $prefix/lib
        from_cache 0123456789abcdef0; echo $?; cat $prefix/lib/libcaffe.so $prefix/key""")
    assert done.stdout.splitlines()[-3:] == ["0", "code", "0123456789abcdef0"], done.stderr
    kept = sorted(path.name for path in (tmp_path / "project/.cache").iterdir())
    assert len(kept) == 2
    assert kept[0].startswith("caffe-")
    assert kept[1] == kept[0] + ".sha256"


@pytest.mark.parametrize(("script", "said"), [
    ("from_cache another", ""),  # the key of a build with other patches, for example
    ("cache=false; from_cache key", ""),
    ("echo x >>$(cache_file key); from_cache key", "damaged"),
    ("rm $(cache_file key).sha256; from_cache key", "damaged"),
], ids=["other", "no-cache", "damaged", "unchecked"])
def test_no_other_caffe_is_taken(tmp_path: Path, script: str, said: str) -> None:
    done = cached(tmp_path, f"make_caffe; into_cache key >/dev/null; rm -r $prefix/lib\n{script} || echo built")
    assert done.stdout.splitlines()[-1] == "built", done.stderr
    assert said in done.stdout
    assert not (tmp_path / "prefix/lib").exists()


def test_a_folder_that_takes_no_cache_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/.cache").write_text("a file, where a folder should be")
    done = cached(tmp_path, "make_caffe; into_cache key; echo on")
    assert done.returncode == 0
    assert done.stdout == "on\n"


class Release(http.server.ThreadingHTTPServer):
    """A release on this machine: `files` are what it answers with, `asked` the paths that were asked for. With
    `silent`, it takes each request and never answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.silent = threading.Event()
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Answer(http.server.BaseHTTPRequestHandler):
    """What a Release says to a request."""

    server: Release

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.silent.is_set():
            self.server.ended.wait(300)
            return
        body = self.server.files.get(self.path.rpartition("/")[2])
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def release() -> Iterator[Release]:
    server = Release()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


def finished(tmp_path: Path, release: Release, pinned: bytes | None = None) -> str:
    """Put a finished Caffe, packed by provision.sh, into the release; returns a script that records its checksum (or
    that of the bytes `pinned`). Its key is "key"."""
    made = cached(tmp_path, "make_caffe; into_cache key >/dev/null; cache_file key; rm -r $prefix/lib")
    file = Path(made.stdout.strip())
    release.files[file.name] = file.read_bytes()
    shutil.rmtree(file.parent)
    (tmp_path / "pins").write_text(
        f"# a comment\nrelease v1\n{hashlib.sha256(pinned or release.files[file.name]).hexdigest()}  {file.name}\n")
    return f"pins={tmp_path}/pins; "


def test_a_finished_caffe_of_a_release_is_taken_and_kept(tmp_path: Path, release: Release) -> None:
    record = finished(tmp_path, release)
    done = cached(tmp_path, f"{record} from_release key; cat $prefix/lib/libcaffe.so $prefix/key; ls $prefix",
                  DREAMER_RELEASE=release.url)
    assert done.stdout.splitlines()[1:3] == ["code", "key"], done.stderr
    assert done.stdout.startswith(f"==> Caffe: installed in {tmp_path}/prefix, from {release.url}\n")
    assert "finished.part" not in done.stdout
    again = cached(tmp_path, f"{record} rm -r $prefix/lib; from_cache key; cat $prefix/lib/libcaffe.so")
    assert again.stdout.splitlines()[-1] == "code"
    assert len(release.asked) == 1


def test_a_folder_will_do_for_a_release(tmp_path: Path, release: Release) -> None:
    record = finished(tmp_path, release)
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, content in release.files.items():
        (folder / name).write_bytes(content)
    for place in (str(folder), folder.as_uri()):
        done = cached(tmp_path, f"{record} cache=false; from_release key; cat $prefix/lib/libcaffe.so",
                      DREAMER_RELEASE=place)
        shutil.rmtree(tmp_path / "prefix/lib")
        assert done.stdout.splitlines()[-1] == "code", done.stdout
    assert not (tmp_path / "project/.cache").exists()


@pytest.mark.parametrize("wrong", ["other bytes", "absent", "too large", "no archive"])
def test_what_is_not_as_recorded_is_not_taken(tmp_path: Path, release: Release, wrong: str) -> None:
    """It is neither unpacked nor kept, and one line says why; then Caffe is compiled."""
    record = finished(tmp_path, release, b"these were recorded" if wrong in ("other bytes", "no archive") else None)
    (name,) = release.files
    if wrong == "absent":
        release.files.clear()
    elif wrong == "too large":
        release.files[name] += bytes(60_000_000)
    elif wrong == "no archive":
        release.files[name] = b"these were recorded"
    done = cached(tmp_path, f"{record} from_release key || echo compiled; ls $prefix/lib", DREAMER_RELEASE=release.url)
    said = {"other bytes": "its checksum is wrong", "absent": "404", "too large": "too large",
            "no archive": "it cannot be unpacked"}
    line, last = done.stdout.splitlines()
    assert line.startswith(f"==> Caffe: no finished one from {release.url} ("), done.stderr
    assert said[wrong] in line
    assert last == "compiled"
    assert not (tmp_path / "prefix/finished.part").exists()
    assert not list((tmp_path / "project").glob(".cache/*"))


@pytest.mark.parametrize("place", ["unknown key", "no pins", "empty"])
def test_nobody_is_asked_for_what_is_not_recorded(tmp_path: Path, release: Release, place: str) -> None:
    record = finished(tmp_path, release)
    if place == "no pins":
        record = f"pins={ROOT}/dreamer/machine/nothing.txt; "
    done = cached(tmp_path, f"{record} from_release {'other' if place == 'unknown key' else 'key'} || echo compiled",
                  DREAMER_RELEASE="" if place == "empty" else release.url)
    assert done.stdout == "compiled\n"
    assert release.asked == []


def test_a_release_that_never_answers_is_given_up(tmp_path: Path, release: Release) -> None:
    record = finished(tmp_path, release)
    release.silent.set()
    done = cached(tmp_path, f"{record} from_release key || echo compiled", DREAMER_RELEASE=release.url)
    line, last = done.stdout.splitlines()
    assert line.startswith(f"==> Caffe: no finished one from {release.url} (")
    assert last == "compiled"


def test_the_origin_is_asked_before_the_recorded_address(tmp_path: Path) -> None:
    (tmp_path / "project/.git").mkdir(parents=True)
    (tmp_path / "project/.git/config").write_text(
        '[core]\n\tbare = false\n[remote "other"]\n\turl = https://github.com/someone/else\n'
        '[remote "origin"]\n\turl = git@github.com:me/dreams.git\n\tfetch = x\n')
    recorded = "https://example.org/files"
    (tmp_path / "pins").write_text(f"release v3 {recorded}\n")
    ours = "https://github.com/me/dreams/releases/download/v3"
    done = cached(tmp_path, f"pins={tmp_path}/pins; release_places")
    assert done.stdout.splitlines() == [ours, recorded], done.stderr
    (tmp_path / "pins").write_text(f"release v3 {ours}\n")
    assert cached(tmp_path, f"pins={tmp_path}/pins; release_places").stdout.splitlines() == [ours]
    shutil.rmtree(tmp_path / "project/.git")  # an unpacked archive
    assert cached(tmp_path, f"pins={tmp_path}/pins; release_places").stdout.splitlines() == [ours]
    (tmp_path / "pins").write_text("# nothing\n")
    assert cached(tmp_path, f"pins={tmp_path}/pins; release_places").stdout == ""


@pytest.mark.parametrize(("origin", "address"), [
    ("https://github.com/me/dreams", "https://github.com/me/dreams/releases/download/v1"),
    ("https://github.com/me/dreams.git", "https://github.com/me/dreams/releases/download/v1"),
    ("https://me:secret@github.com/me/dreams.git", "https://github.com/me/dreams/releases/download/v1"),
    ("git@github.com:me/dreams.git", "https://github.com/me/dreams/releases/download/v1"),
    ("ssh://git@codeberg.org/me/dreams.git", "https://codeberg.org/me/dreams/releases/download/v1"),
    ("git@gitlab.com:group/part/dreams.git", "https://gitlab.com/group/part/dreams/-/releases/v1/downloads"),
    ("https://github.com.evil.example/me/dreams", ""),
    ("https://evil.example/github.com/me/dreams", ""),
    ("/srv/git/dreams.git", ""),
    ("http://github.com/me/dreams", ""),
    ("", ""),
])
def test_where_a_forge_has_its_releases(tmp_path: Path, origin: str, address: str) -> None:
    assert bash(f"release_address '{origin}' v1", tmp_path).stdout.strip() == address


def test_a_finished_caffe_has_the_same_bytes_everywhere(tmp_path: Path) -> None:
    """Whoever packs it, whenever, and with whatever beside it."""
    script = """umask {}; make_caffe; for name in b a; do echo $name >$prefix/python/caffe/$name; done
        mkdir $prefix/python/caffe/__pycache__; echo $RANDOM >$prefix/python/caffe/__pycache__/a.pyc
        touch $prefix/python/dreamer; touch -d "{}" $prefix/lib/libcaffe.so; TZ={} pack $prefix/packed
        sha256sum <$prefix/packed; chown -R {} $prefix; rm -r $prefix/python"""
    first = cached(tmp_path, script.format("022", "now", "UTC", os.geteuid()))
    second = cached(tmp_path, script.format("077", "2001-01-01", "Asia/Tokyo", os.geteuid()))
    assert first.stdout == second.stdout != "", first.stderr
    with tarfile.open(tmp_path / "prefix/packed") as archive:
        assert not [name for name in archive.getnames() if "__pycache__" in name or name.endswith("dreamer")]


def test_the_description_is_installed_without_learning_rates(tmp_path: Path) -> None:
    """Everything else in it stays as it is, also what looks alike."""
    given = """name: "a net"
layer {
  name: "conv" type: "Convolution"
  param { lr_mult: 1 }
  param {
    lr_mult: 2
    decay_mult: 0
  }
  convolution_param { num_output: 2 weight_filler { type: "xavier" std: 0.1 } }
}
"""
    (tmp_path / "given").write_text(given)
    done = bash(f"mkdir -p $prefix/models/bvlc_googlenet; install_description {tmp_path}/given", tmp_path)
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "prefix/models/bvlc_googlenet/deploy.prototxt").read_text()
    [before], [after] = (prototxt.values(prototxt.parse(text), "layer") for text in (given, made))
    assert prototxt.values(after, "param") == [[("lr_mult", "0")]] * 2
    assert [field for field in after if field[0] != "param"] == [field for field in before if field[0] != "param"]
    bash(f"learn_nothing=; install_description {tmp_path}/given", tmp_path)  # as tests/bench/stock.sh does it
    assert (tmp_path / "prefix/models/bvlc_googlenet/deploy.prototxt").read_text() == given


def test_another_description_is_another_build(tmp_path: Path) -> None:
    """Otherwise an old installation would keep the old description, whose checksum is another."""
    same, other = (bash(f"{change} caffe_key", tmp_path).stdout for change in ("", "learn_nothing=;"))
    assert len(same) == len(other) == 65
    assert same != other


def test_the_libraries_of_a_program_are_found_as_the_linker_finds_them(tmp_path: Path) -> None:
    """ldd asks the linker, which reads only this processor's programs."""
    if not shutil.which("g++"):
        pytest.skip("no compiler: ./provision.sh toolchain")
    done = bash("""program=$(command -v ssh)
        libraries "$program" | xargs -n 1 basename | LC_ALL=C sort
        echo --
        ldd "$program" | awk '$3 ~ "/" || $1 ~ "/" {print $1}' | xargs -n 1 basename | LC_ALL=C sort""", tmp_path)
    ours, _, theirs = done.stdout.partition("--\n")
    assert ours == theirs
    assert "libc.so.6\n" in ours


def test_each_processor_has_its_own_finished_caffe(tmp_path: Path) -> None:
    here, there = (bash(f"{change} cache_file $(caffe_key)", tmp_path).stdout.strip().rpartition("/")[2].split("-")
                   for change in ("", "machine=aarch64;"))
    assert (here[3], there[3]) == (os.uname().machine, "aarch64")
    if os.uname().machine != "aarch64":
        assert here[4] != there[4]  # the key


@pytest.mark.parametrize(("before", "said"), [
    ("machine=aarch64", "Caffe for arm64 can be compiled only on Debian on x86-64"),
    ("ID=ubuntu", "Caffe for arm64 can be compiled only on Debian on x86-64"),
    ("ID=debian; machine=x86_64", "cross saves its result in .cache/: leave out --no-cache")])
def test_cross_compiling_is_refused_before_anything_is_installed(tmp_path: Path, before: str, said: str) -> None:
    done = bash(f"apt() {{ echo installed; }}; {before}; step_cross", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"provision.sh: {said}\n")


def test_the_stock_caffe_for_the_benchmarks_begins_to_build(tmp_path: Path) -> None:
    """As far as the first source; the build takes minutes."""
    if not all(map(shutil.which, ("cmake", "g++", "protoc"))):
        pytest.skip("no compiler: ./provision.sh toolchain")
    with subprocess.Popen(["bash", ROOT / "tests/bench/stock.sh", tmp_path / "stock"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True,
                          env=os.environ | {"CAFFE_GIT": f"file://{tmp_path}/nowhere"}) as process:
        assert process.stdout
        assert process.stderr
        said = []
        for line in process.stdout:
            said.append(line)
            if "no source from git" in line:
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert "no source from git" in "".join(said), process.stderr.read()
    assert sorted(path.name[:2] for path in (tmp_path / "stock/native/patches").iterdir()) == ["01", "02", "03"]
