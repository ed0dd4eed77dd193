"""Bundles on a real disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from falsework.engine.contract.bundle import MANIFEST, Bundle, BundleChanged
from falsework.engine.errors import BundleError


@pytest.fixture
def router(tmp_path: Path) -> Path:
    return _written(
        tmp_path / "source",
        {"__main__.py": "print()", "client/falsework.js": "//", "__pycache__/x.pyc": "", "node/server.js": "//"},
    )


@pytest.fixture
def static(tmp_path: Path) -> Path:
    return _written(
        tmp_path / "static", {"index.html": "<p>Hello</p>", "media/cat.txt": "cat", ".git/config": "secret"}
    )


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


@pytest.fixture
def bundle(run_directory: Path, router: Path, static: Path) -> Bundle:
    return _made(run_directory, router, static)


def _written(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def _made(run_directory: Path, router: Path, static: Path, **more: Any) -> Bundle:
    start = ["python", "-m", "router"]
    return Bundle.make(run_directory, "caption-1", router_source=router, static=static, start=start, **more)


def _names(bundle: Bundle) -> set[str]:
    return set(bundle.files())


def _task_config(bundle: Bundle) -> Any:
    return json.loads((bundle.static / "task_config.json").read_text())


def test_a_bundle_holds_the_router_and_the_pages_and_nothing_hidden(bundle: Bundle) -> None:
    assert _names(bundle) == {
        "router/__main__.py",
        "router/client/falsework.js",
        "router/node/server.js",
        "static/index.html",
        "static/media/cat.txt",
        "static/task_config.json",
    }


def test_without_a_source_it_holds_the_router_of_falsework_itself(run_directory: Path, static: Path) -> None:
    bundle = Bundle.make(run_directory, "caption-1", static=static, start=["python", "-m", "router"])
    assert {"router/__main__.py", "router/wire/protocol.py", "router/client/falsework.js"} <= _names(bundle)


def test_what_the_router_leaves_out_stays_behind(run_directory: Path, router: Path, static: Path) -> None:
    bundle = _made(run_directory, router, static, router_leaves_out=("node",))
    assert "router/node/server.js" not in _names(bundle)


def test_only_its_owner_can_read_a_bundle(bundle: Bundle) -> None:
    modes = {path.stat().st_mode & 0o077 for path in [bundle.directory, *bundle.directory.rglob("*")]}
    assert modes == {0}


def test_the_manifest_says_exactly_what_is_there(bundle: Bundle) -> None:
    bundle.seal()
    manifest = json.loads((bundle.directory / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert manifest["run_id"] == "caption-1"
    assert manifest["router"] == "python"
    assert manifest["start"] == ["python", "-m", "router"]
    assert manifest["environment"] == []
    assert set(manifest["files"]) == _names(bundle) - {MANIFEST}
    page = b"<p>Hello</p>"
    assert manifest["files"]["static/index.html"] == {"sha256": hashlib.sha256(page).hexdigest(), "size": len(page)}


def test_a_sealed_bundle_is_taken_up_by_another_process(
    bundle: Bundle, run_directory: Path, router: Path, static: Path
) -> None:
    bundle = _made(run_directory, router, static, environment=("FALSEWORK_RUN_ID",))
    bundle.seal()
    loaded = Bundle.load(run_directory)
    loaded.verify()
    assert (loaded.run_id, loaded.router, loaded.start, loaded.environment) == (
        "caption-1",
        "python",
        ("python", "-m", "router"),
        ("FALSEWORK_RUN_ID",),
    )


def test_a_bundle_that_was_never_sealed_cannot_be_taken_up_or_verified(bundle: Bundle, run_directory: Path) -> None:
    with pytest.raises(BundleError, match="no sealed bundle"):
        Bundle.load(run_directory)
    with pytest.raises(BundleError, match="no sealed bundle"):
        bundle.verify()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "files": {}}', '{"format": 1, "files": {"a": 1}}', "\x00"]
)
def test_a_damaged_manifest_is_a_clear_error(bundle: Bundle, run_directory: Path, text: str) -> None:
    (bundle.directory / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="not a bundle's manifest"):
        Bundle.load(run_directory)


def test_a_manifest_of_a_later_format_is_named_as_such(bundle: Bundle, run_directory: Path) -> None:
    (bundle.directory / MANIFEST).write_text('{"format": 2}')
    with pytest.raises(BundleError, match="format 2; this falsework reads format 1"):
        Bundle.load(run_directory)


def test_every_changed_missing_and_unlisted_file_is_named(bundle: Bundle) -> None:
    bundle.seal()
    (bundle.static / "index.html").write_text("<p>Hallo</p>")
    (bundle.directory / "router/__main__.py").write_text("print('longer')")
    (bundle.static / "media/cat.txt").unlink()
    (bundle.static / ".hidden").write_text("")
    with pytest.raises(BundleChanged) as changed:
        bundle.verify()
    assert changed.value.changed == ("router/__main__.py", "static/index.html")
    assert changed.value.missing == ("static/media/cat.txt",)
    assert changed.value.unlisted == ("static/.hidden",)
    for name in ("router/__main__.py", "static/index.html", "static/media/cat.txt", "static/.hidden"):
        assert name in str(changed.value)


def test_a_file_that_became_a_link_to_the_same_content_is_a_change(bundle: Bundle, tmp_path: Path) -> None:
    bundle.seal()
    page = bundle.static / "index.html"
    page.rename(tmp_path / "elsewhere.html")
    page.symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(BundleChanged, match="changed: static/index.html"):
        bundle.verify()


def test_a_link_to_a_directory_is_unlisted(bundle: Bundle, tmp_path: Path) -> None:
    bundle.seal()
    (bundle.static / "more").symlink_to(tmp_path)
    with pytest.raises(BundleChanged, match="unlisted: static/more"):
        bundle.verify()


def test_sealing_again_verifies_and_does_not_bless_a_change(bundle: Bundle) -> None:
    bundle.seal()
    bundle.seal()
    (bundle.static / "index.html").write_text("changed")
    with pytest.raises(BundleChanged):
        bundle.seal()


def test_a_task_adds_files_under_static(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "dog.txt").write_text("dog")
    bundle.add("wrap_crowd_source.js", b"// one")
    bundle.add("wrap_crowd_source.js", b"// two")
    bundle.add("media/deep/dog.txt", tmp_path / "dog.txt")
    bundle.seal()
    assert (bundle.static / "wrap_crowd_source.js").read_bytes() == b"// two"
    assert (bundle.static / "media/deep/dog.txt").read_text() == "dog"
    assert {"static/wrap_crowd_source.js", "static/media/deep/dog.txt"} < _names(bundle)


@pytest.mark.parametrize(
    "name",
    ["../router/__main__.py", "/etc/passwd", "media/../../x", "..", ".", "", "a\0b", "..\\x", "task_config.json"],
)
def test_nothing_is_added_outside_static(bundle: Bundle, name: str) -> None:
    before = _names(bundle)
    with pytest.raises(BundleError):
        bundle.add(name, b"")
    assert _names(bundle) == before


def test_nothing_is_added_to_a_sealed_bundle(bundle: Bundle) -> None:
    bundle.seal()
    with pytest.raises(BundleError, match="too late"):
        bundle.add("late.js", b"")
    bundle.verify()


@pytest.mark.parametrize("name", ["media", "index.html/x"])
def test_a_name_that_is_taken_by_something_else_is_a_clear_error(bundle: Bundle, name: str) -> None:
    with pytest.raises(BundleError, match="cannot be added"):
        bundle.add(name, b"")


def test_making_it_again_replaces_the_old_one(bundle: Bundle, run_directory: Path, router: Path, static: Path) -> None:
    bundle.add("old.js", b"")
    bundle.seal()
    again = _made(run_directory, router, static)
    assert not again.sealed
    assert "static/old.js" not in _names(again)
    assert os.listdir(run_directory) == ["bundle"]


def test_a_bundle_that_cannot_be_made_leaves_the_old_one_and_nothing_half_made(
    bundle: Bundle, run_directory: Path, router: Path, static: Path
) -> None:
    (static / "index.html").unlink()
    with pytest.raises(BundleError, match=r"no index\.html"):
        _made(run_directory, router, static)
    assert os.listdir(run_directory) == ["bundle"]
    assert (bundle.static / "index.html").exists()


def test_what_a_crash_left_half_made_is_cleared_away(run_directory: Path, router: Path, static: Path) -> None:
    _written(run_directory / ".bundle-x7", {"static/index.html": ""})
    _made(run_directory, router, static)
    assert os.listdir(run_directory) == ["bundle"]


def test_links_inside_the_directory_are_followed(run_directory: Path, router: Path, static: Path) -> None:
    (static / "pet.txt").symlink_to("media/cat.txt")
    (static / "pictures").symlink_to(static / "media")
    bundle = _made(run_directory, router, static)
    assert (bundle.static / "pet.txt").read_text() == (bundle.static / "pictures/cat.txt").read_text() == "cat"
    assert not any(path.is_symlink() for path in bundle.directory.rglob("*"))


def test_a_static_directory_that_is_a_link_itself_is_fine(
    run_directory: Path, router: Path, static: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(static)
    assert "static/index.html" in _names(_made(run_directory, router, tmp_path / "link"))


@pytest.mark.parametrize("target", ["/etc/hostname", "..", "nowhere", ".", "media/round"])
def test_a_link_that_leads_out_nowhere_or_round_in_a_circle_is_named(
    run_directory: Path, router: Path, static: Path, target: str
) -> None:
    (static / "media/round").symlink_to("../link")
    (static / "link").symlink_to(target)
    with pytest.raises(BundleError, match="link"):
        _made(run_directory, router, static)
    assert os.listdir(run_directory) == []


def test_what_is_neither_file_nor_directory_is_refused(run_directory: Path, router: Path, static: Path) -> None:
    os.mkfifo(static / "pipe")
    with pytest.raises(BundleError, match="pipe is neither a file nor a directory"):
        _made(run_directory, router, static)


@pytest.mark.parametrize("missing", ["static", "source"])
def test_a_directory_that_is_not_there_is_named(
    run_directory: Path, router: Path, static: Path, tmp_path: Path, missing: str
) -> None:
    (tmp_path / missing).rename(tmp_path / "away")
    with pytest.raises(BundleError, match=f"{missing} is not a directory"):
        _made(run_directory, router, static)


def test_what_the_disk_refuses_is_told_as_a_bundle_error(tmp_path: Path, router: Path, static: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be made"):
        _made(tmp_path / "file" / "run", router, static)


def test_the_tasks_own_configuration_is_kept_and_the_runs_wins(run_directory: Path, router: Path, static: Path) -> None:
    own = {"frame_height": 650, "run_id": "forged", "colour": "red", "task_name": "old"}
    (static / "task_config.json").write_text(json.dumps(own))
    bundle = _made(run_directory, router, static, task_config={"task_name": "caption", "colour": "green"})
    assert _task_config(bundle) == {
        "block_mobile": False,
        "frame_height": 650,
        "colour": "green",
        "task_name": "caption",
        "run_id": "caption-1",
        "mephisto_task_version": "2.0.4",
    }


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_task_configuration_that_is_no_json_object_is_a_clear_error(
    run_directory: Path, router: Path, static: Path, text: str
) -> None:
    (static / "task_config.json").write_text(text)
    with pytest.raises(BundleError, match=r"task_config\.json"):
        _made(run_directory, router, static)
