"""What a page can do to a running studio: dreams, jobs, files."""

import json
from collections.abc import Iterator

import pytest

from browser import Served, quiet
from client import Client
from helpers import ROOT, visible

PHOTO = (ROOT / "tests/pictures/coffee.jpg").read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.jpg").write_bytes(PHOTO)
    (folder / "b.jpg").write_bytes(PHOTO)
    yield from quiet(folder)


def refused(client: Client, path: str, asked: object = None) -> str:
    """The line that says why it is refused."""
    status, _, body = client.ask("POST", path, None if asked is None else json.dumps(asked).encode())
    assert status in (400, 404), (status, body)
    found = json.loads(body)
    assert found["error"] == found["lines"][0]
    return str(found["error"])


def test_a_batch_is_a_job_for_each_photo_and_a_job_has_verbs(served: Served, client: Client) -> None:
    form = {"photos": ["a.jpg", "b.jpg", "a.jpg"], "model": "daydream", "iterations": 300}
    first, second, third = client.json("POST", "/dreams", form)["ids"]
    client.json("POST", f"/jobs/{third}/move", {"to": 0})
    client.json("POST", f"/jobs/{second}/remove")
    client.json("POST", f"/jobs/{third}/stop")
    client.json("POST", f"/jobs/{first}/stop")
    assert "there is no job 999" in refused(client, "/jobs/999/stop")
    assert "this job" in refused(client, f"/jobs/{third}/stop")
    assert refused(client, f"/jobs/{first}/explode")


def test_wrong_forms_are_refused_with_all_that_is_wrong(client: Client) -> None:
    _, _, body = client.ask("POST", "/dreams", b'{"photo": "a.jpg", "iterations": -1, "scale": 0.5, "colour": "red"}')
    found = json.loads(body)
    assert len(found["lines"]) == 3
    assert "there is no such file" in refused(client, "/dreams", {"photo": "none.jpg"})


def test_delete_and_undo(served: Served, client: Client) -> None:
    undo = client.json("POST", "/files/b.jpg/delete")["undo"]
    assert "b.jpg" not in visible(served.folder)
    assert client.json("POST", f"/trash/{undo}/restore") == {"name": "b.jpg"}
    assert (served.folder / "b.jpg").read_bytes() == PHOTO
    refused(client, f"/trash/{undo}/restore")
    refused(client, "/trash/..%2f..%2fa.jpg/restore")
    refused(client, "/files/none.jpg/delete")
    refused(client, "/files/..%2fa.jpg/delete")


def test_rename_never_replaces(served: Served, client: Client) -> None:
    assert client.json("POST", "/files/b.jpg/rename", {"to": "c.jpg"}) == {"name": "c.jpg"}
    assert "a.jpg" in refused(client, "/files/c.jpg/rename", {"to": "a.jpg"})
    for name in ("../c.jpg", ".c.jpg", "c.html", "", None, 5, "-c.jpg", "a\0.jpg"):
        refused(client, "/files/c.jpg/rename", {"to": name})
    client.json("POST", "/files/c.jpg/rename", {"to": "b.jpg"})
    assert {"a.jpg", "b.jpg"} <= set(visible(served.folder))
