"""Where the token comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from falsework.architects.heroku import credentials as heroku_credentials
from falsework.architects.heroku.credentials import api_address, find_token
from falsework.architects.heroku.errors import NoCredentials

from ..shipping.node_installed import program

API = "https://api.heroku.com"


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without anything, and no client but what a test puts into bin/."""
    for name in ("HEROKU_API_KEY", "HEROKU_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    if (tmp_path / "bin").exists():
        pytest.fail("the directory is not new")


@pytest.mark.parametrize(
    "host, address",
    [
        (None, "https://api.heroku.com"),
        ("", "https://api.heroku.com"),
        ("staging.example.org", "https://api.staging.example.org"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_the_api_is_where_the_client_looks_for_it(
    host: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host is not None:
        monkeypatch.setenv("HEROKU_HOST", host)
    assert api_address() == address


async def test_the_environment_comes_first_then_netrc_then_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        tmp_path / "bin",
        "heroku",
        'echo " ›   Warning: it may expire" >&2; [ "$1" = auth:token ] && echo of-the-client',
    )
    assert await find_token(API) == "of-the-client"
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine api.heroku.com\n  login me@example.org\n  password of-netrc\n")
    netrc.chmod(0o600)
    assert await find_token(API) == "of-netrc"
    monkeypatch.setenv("HEROKU_API_KEY", "of-the-environment")
    assert await find_token(API) == "of-the-environment"


async def test_another_host_does_not_get_herokus_token(tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        "machine api.heroku.com login me password of-heroku\nmachine 127.0.0.1:80 login me password other\n"
    )
    netrc.chmod(0o600)
    assert await find_token("http://127.0.0.1:80") == "other"
    with pytest.raises(NoCredentials):
        await find_token("http://127.0.0.1:81")


@pytest.mark.parametrize("script", ["exit 100", "echo", "kill -9 $$", "echo secret; exit 1"])
async def test_a_client_that_is_not_logged_in_is_as_none(tmp_path: Path, script: str) -> None:
    program(tmp_path / "bin", "heroku", script)
    with pytest.raises(NoCredentials, match=r"nobody is logged in.*heroku login.*HEROKU_API_KEY"):
        await find_token(API)


async def test_nobody_logged_in_is_told_how_to_log_in() -> None:
    with pytest.raises(NoCredentials, match=r"nobody is logged in.*heroku login.*HEROKU_API_KEY"):
        await find_token(API)


async def test_a_client_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heroku_credentials, "CLIENT_LIMIT", 0.2)
    program(tmp_path / "bin", "heroku", "sleep 60")
    with pytest.raises(NoCredentials, match=r"auth:token said nothing for 0\.2 s"):
        await find_token(API)


async def test_a_netrc_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine\n")
    with pytest.raises(NoCredentials, match=r"\.netrc cannot be read"):
        await find_token(API)


async def test_what_cannot_be_a_token_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROKU_API_KEY", "two words\r\nX-Header: more")
    with pytest.raises(NoCredentials) as refused:
        await find_token(API)
    assert "two words" not in str(refused.value)
