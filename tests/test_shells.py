"""The step `shells` of provision.sh: the shells of the system find the completion by themselves, and man the page."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from containers import checkout
from helpers import ROOT, made
from terminals import BASH, ZSH, Terminal

FILES = ["bash-completion/completions/dreamify", "bash-completion/completions/dreamify.py",
         "fish/vendor_completions.d/dreamify.fish", "fish/vendor_conf.d/dreamify.fish",
         "man/man1/dreamify.1", "zsh/site-functions/_dreamify"]
LOADER = Path("/usr/share/bash-completion/bash_completion")


def step(clone: Path, shares: Path, log: Path) -> str:
    """Run the step of that clone, with another folder than /usr/local/share; returns what it says."""
    script = f". {clone}/provision.sh; log={log}; shares={shares}; export PATH=/usr/bin:/bin; step_shells"
    return made(["bash", "-c", script]).stdout


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the step has put everything; in its parent is a link to dreamify.py."""
    folder = tmp_path_factory.mktemp("system")
    assert "installed in" in step(ROOT, folder / "share", folder / "log")
    (folder / "work").mkdir()
    (folder / "work/dreamify.py").symlink_to(ROOT / "dreamify.py")
    return folder / "share"


def test_a_second_run_changes_nothing(shares: Path, tmp_path: Path) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        return {str(path.relative_to(shares)): (0 if path.is_symlink() else path.stat().st_ino, path.read_bytes())
                for path in shares.rglob("*") if not path.is_dir()}
    before = state()
    assert sorted(before) == FILES
    assert step(ROOT, shares, tmp_path / "log") == "==> completion and the man page: already installed\n"
    assert state() == before


@pytest.mark.parametrize("typed", ["dreamify", "./dreamify.py"])
def test_bash_loads_it_by_itself(shares: Path, typed: str) -> None:
    if not LOADER.exists():
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    bash = Terminal(["bash", "--norc", "--noprofile", "-i"], shares.parent / "work", f". {LOADER}\n{BASH}",
                    XDG_DATA_DIRS=f"{shares}:/usr/share")
    try:
        assert bash.line(f"{typed} keys --desc\t").rstrip() == f"{typed} keys --describe"
    finally:
        bash.close()


@pytest.mark.parametrize("typed", ["dreamify", "./dreamify.py", "python3 dreamify.py"])
def test_zsh_loads_it_by_itself(shares: Path, typed: str) -> None:
    if not shutil.which("zsh"):
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    zsh = Terminal(["zsh", "-f", "-i"], shares.parent / "work",
                   f"fpath=({shares}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -D -u\n{ZSH}")
    try:
        for _ in range(2):  # the first time, the function is loaded and called at once
            assert zsh.line(f"{typed} keys --desc\t").rstrip() == f"{typed} keys --describe"
    finally:
        zsh.close()


@pytest.mark.parametrize("typed", ["dreamify", "./dreamify.py"])
def test_fish_loads_it_by_itself(shares: Path, tmp_path: Path, typed: str) -> None:
    if not shutil.which("fish"):
        pytest.skip("no shells: apt-get install bash-completion fish zsh")
    done = subprocess.run(["fish", "-i", "-c", "complete -C $argv[1]", f"{typed} keys --desc"], capture_output=True,
                          text=True, check=False, cwd=shares.parent / "work",
                          env=os.environ | {"XDG_DATA_DIRS": f"{shares}:/usr/share", "HOME": str(tmp_path)})
    assert (done.stdout, done.stderr) == ("--describe\tsay what each layer likes\n", "")


def test_man_finds_the_page(shares: Path) -> None:
    if not shutil.which("man"):
        pytest.skip("no man, groff or mandoc: apt-get install groff man-db mandoc")
    done = made(["env", f"MANPATH={shares}/man", "man", "-w", "dreamify"])
    assert Path(done.stdout.strip()) == shares / "man/man1/dreamify.1"


def test_another_clone_takes_over_and_a_broken_one_leaves_what_is_there(shares: Path, tmp_path: Path) -> None:
    clone = checkout(tmp_path / "a clone")
    (tmp_path / "clone").symlink_to(clone)
    folder = tmp_path / "share"
    assert "installed in" in step(tmp_path / "clone", folder, tmp_path / "log")
    text = (folder / FILES[0]).read_text()
    assert "/a clone/dreamify.py" in text
    (clone / "dreamer/help/commands.py").write_text("this is not Python")
    done = subprocess.run(["bash", "-c", f". {tmp_path}/clone/provision.sh; log={tmp_path}/log; shares={folder}; "
                                         "export PATH=/usr/bin:/bin; step_shells"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"provision.sh: dreamify.py completion bash failed; see {tmp_path}/log\n"
    assert (folder / FILES[0]).read_text() == text
    assert not list(folder.rglob("*.part"))
