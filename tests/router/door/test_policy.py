from __future__ import annotations

import pytest
from falsework.router.door.policy import page_headers
from falsework.router.wire.protocol import check_frame_ancestor, check_policy


def directives(policy: str | None = None, *ancestors: str) -> dict[str, str]:
    header = page_headers(policy, ancestors)["Content-Security-Policy"]
    return dict(directive.strip().partition(" ")[::2] for directive in header.split(";"))


def test_by_default_nobody_may_frame_the_page_and_it_runs_its_own_files_alone() -> None:
    told = directives()
    assert told["default-src"] == "'self'"
    assert told["frame-ancestors"] == "'none'"
    assert told["form-action"] == "'self'"
    assert "unsafe" not in str(told)
    assert "script-src" not in told


def test_a_site_that_frames_the_task_may_get_its_form() -> None:
    told = directives(None, "https://a.example", "https://b.example")
    assert told["frame-ancestors"] == "https://a.example https://b.example"
    assert told["form-action"] == "'self' https://a.example https://b.example"


@pytest.mark.parametrize("policy", ["default-src *", "default-src *;", " default-src * ; "])
def test_a_policy_of_ones_own_has_the_ancestors_added(policy: str) -> None:
    assert directives(policy) == {"default-src": "*", "frame-ancestors": "'none'"}


@pytest.mark.parametrize("policy", ["frame-ancestors *", "default-src *; FRAME-ANCESTORS *", ";frame-ancestors *"])
def test_a_policy_of_ones_own_that_names_ancestors_is_left_alone(policy: str) -> None:
    assert page_headers(policy, ["https://a.example"])["Content-Security-Policy"] == policy


@pytest.mark.parametrize(
    "origin",
    [
        "https://worker.mturk.example",
        "http://127.0.0.1:8080",
        "https://*.example.org",
        "https://a.example:*",
        "example.org",
        "'self'",
        "https:",
        "*",
    ],
)
def test_an_origin_is_taken(origin: str) -> None:
    check_frame_ancestor(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        " ",
        "a b",
        "https://a.example;",
        "https://a.example, b",
        "https://a.example/path",
        "'none'",
        "a\nb",
        "ä.example",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin such as https://"):
        check_frame_ancestor(origin)


@pytest.mark.parametrize("policy", ["", "a\r\nSet-Cookie: b", "a\nb", "caf\u00e9", "a\0"])
def test_what_no_header_can_hold_is_no_policy(policy: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        check_policy(policy)
