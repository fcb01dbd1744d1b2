"""The page's files: only those, only of known kinds, with the right types."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from functions.query.app import DASHBOARD, create_app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dashboard"
    (folder / "parts").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "parts" / "row.js").write_text("export {};")
    (folder / "notes.md").write_text("x")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def pages(store, folder: Path) -> FlaskClient:
    return create_app(store, dashboard=folder).test_client()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/", "text/html; charset=utf-8"), ("/assets/parts/row.js", "text/javascript; charset=utf-8")],
)
def test_files(pages: FlaskClient, path: str, media_type: str) -> None:
    answer = pages.get(path)
    assert (answer.status_code, answer.content_type) == (200, media_type)


@pytest.mark.parametrize(
    "name",
    [
        "secret.txt",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2Fsecret.txt",
        "parts/../../secret.txt",
        "parts/..%2f..%2fsecret.txt",
        "/etc/hostname",
        "%2Fetc%2Fhostname",
        "..%5Csecret.txt",
        "out.txt",
        "notes.md",
        "parts",
        "parts/",
        "",
        ".",
        "x%00.txt",
        "%FF.txt",
        "a" * 1000 + ".txt",
    ],
)
def test_nothing_else(pages: FlaskClient, name: str) -> None:
    answer = pages.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert b"secret" not in answer.data


def test_a_file_that_changes(pages: FlaskClient, folder: Path) -> None:
    etag = pages.get("/").headers["ETag"]
    assert pages.get("/", headers={"If-None-Match": etag}).status_code == 304
    (folder / "index.html").write_text("<!doctype html><p>new")
    assert b"new" in pages.get("/", headers={"If-None-Match": etag}).data


def test_the_page_takes_nothing_from_elsewhere(client: FlaskClient) -> None:
    """No inline script or style, which the policy would stop, and no other host."""
    html = client.get("/").text
    assert "://" not in html
    assert "style=" not in html
    assert " on" not in html.split("<body>")[0]
    for path in DASHBOARD.rglob("*"):
        if path.is_file() and path.suffix in {".js", ".css", ".html"}:
            assert client.get(f"/assets/{path.relative_to(DASHBOARD)}").status_code == 200
