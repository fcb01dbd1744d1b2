"""The token is read again in time, and what is wrong with certificates is said."""

from pathlib import Path

import pytest

from eventing.credentials import READ_AGAIN_S, BadCredentials, Credentials


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("one\n")
    return file


def shown(credentials: Credentials) -> str | None:
    return credentials.headers().get("authorization")


def test_a_renewed_token_is_shown_soon(token: Path) -> None:
    clock = Clock()
    credentials = Credentials("", token, clock_s=clock)
    assert shown(credentials) == "Bearer one"
    token.write_text("two")
    clock.now_s += READ_AGAIN_S - 1
    assert shown(credentials) == "Bearer one"
    clock.now_s += 1
    assert shown(credentials) == "Bearer two"


def test_a_token_that_is_away_for_a_moment_is_kept(token: Path) -> None:
    clock = Clock()
    credentials = Credentials("", token, clock_s=clock)
    assert shown(credentials) == "Bearer one"
    token.unlink()
    clock.now_s += READ_AGAIN_S
    assert shown(credentials) == "Bearer one"


def test_a_token_that_comes_later_is_found(token: Path) -> None:
    clock = Clock()
    token.unlink()
    credentials = Credentials("", token, clock_s=clock)
    assert credentials.headers() == {}
    token.write_text("late")
    clock.now_s += READ_AGAIN_S
    assert shown(credentials) == "Bearer late"


@pytest.mark.parametrize("text", [b"", b" \n", b"one\r\nx: y", b"\xff"])
def test_what_is_no_token_is_not_shown(token: Path, text: bytes) -> None:
    token.write_bytes(text)
    assert Credentials("", token).headers() == {}


def test_nothing_beyond_the_system_is_trusted_unless_asked(token: Path, tmp_path: Path) -> None:
    assert Credentials(" \n", token).tls is None
    (folder := tmp_path / "empty").mkdir()
    assert Credentials("", token, trust_folder=folder).tls is None


def test_what_is_no_certificate_is_told(token: Path) -> None:
    with pytest.raises(BadCredentials, match="K_CA_CERTS"):
        Credentials("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----", token)
    with pytest.raises(BadCredentials, match="K_CA_CERTS"):
        Credentials("certificate é", token)
