"""The keys of a farm: what is made, what is refused, and when they are valid."""

import contextlib
import datetime
import os
import re
import ssl
import tempfile
from pathlib import Path

import pytest

from dreamer.errors import Mistake
from dreamer.farm import keys

pytest.importorskip("cryptography", reason="no python3-distributed: ./provision.sh farm")


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    told = keys.make(tmp_path / "a/keys")
    assert told[0].startswith(f"{tmp_path}/a/keys has the keys of a new farm")
    assert os.stat(tmp_path / "a/keys").st_mode & 0o777 == 0o700
    made = keys.find(tmp_path / "a/keys")
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert sorted(os.listdir(tmp_path / "a/keys")) == sorted(path.name for path in made)  # the authority's own is gone


def test_they_are_valid_a_day_before_they_are_made(tmp_path: Path) -> None:
    """So that a machine with a clock that is behind accepts them."""
    keys.make(tmp_path / "keys")
    found = ssl._ssl._test_decode_cert(str(tmp_path / "keys/farm.pem"))  # type: ignore[attr-defined]
    began = ssl.cert_time_to_seconds(found["notBefore"])
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    assert 23 * 3600 < now - began < 25 * 3600
    assert ssl.cert_time_to_seconds(found["notAfter"]) > now + 9 * 365 * 86400


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    keys.make(tmp_path / "keys")
    before = (tmp_path / "keys/farm.key").read_bytes()
    with pytest.raises(Mistake, match="has the keys of a farm already"):
        keys.make(tmp_path / "keys")
    assert (tmp_path / "keys/farm.key").read_bytes() == before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"")
    with pytest.raises(Mistake, match="is not empty"):
        keys.make(tmp_path / "photos")


def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"ca\.pem cannot be read \(No such file or directory\)"):
        keys.find(tmp_path)
    keys.make(tmp_path / "keys")
    (tmp_path / "keys/ca.pem").chmod(0o640)
    with pytest.raises(Mistake, match=re.escape(f"others can read the farm's key {tmp_path}/keys/ca.pem")):
        keys.find(tmp_path / "keys")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("owner", "mode", "fits"), [
    ((0, 5678), 0o440, True),
    ((0, 5678), 0o444, False),
    ((0, 5678), 0o460, False),
    ((1234, 5678), 0o440, False)])
def test_root_may_give_them_to_a_group(owner: tuple[int, int], mode: int, fits: bool) -> None:
    """As Kubernetes mounts a secret for a program that is another user. (Only root can enter tmp_path.)"""
    with tempfile.TemporaryDirectory() as name:
        keys.make(Path(name, "keys"))
        for path in (Path(name), Path(name, "keys")):
            path.chmod(0o755)
        for path in keys.find(Path(name, "keys")):
            os.chown(path, *owner)
            path.chmod(mode)
        os.setegid(5678)
        os.seteuid(1234)
        try:
            with contextlib.nullcontext() if fits else pytest.raises(Mistake, match="others can read the farm's key"):
                keys.find(Path(name, "keys"))
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_where_they_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert keys.usual() == Path("/somewhere/image-dreamer/farm")
    monkeypatch.setenv(keys.VARIABLE, "/keys")
    assert keys.usual() == Path("/keys")
