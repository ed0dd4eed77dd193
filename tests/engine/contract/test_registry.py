from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from falsework.engine.contract.registry import GROUP, architect_class, architects
from falsework.engine.errors import ConfigError

ARCHITECT = """
from dataclasses import dataclass
from falsework.engine.contract.architect import Architect, ArchitectArgs
@dataclass(frozen=True)
class Args(ArchitectArgs):
    port: int = 0
class Harbour(Architect):
    ArgsClass = Args
class WithoutArgs(Architect):
    pass
"""

Install = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package with a module and an entry point, found as any other is; returns the module's name."""
    modules: list[str] = []

    def install(name: str, source: str, attribute: str = "Harbour") -> str:
        module = f"architect_of_a_test_{next(_numbers)}"
        site = tmp_path / module
        metadata = site / f"{module}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}:{attribute}\n")
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def test_an_installed_architect_is_found_by_its_name(install: Install) -> None:
    module = install("harbour", ARCHITECT)
    assert architects()["harbour"].value == f"{module}:Harbour"
    assert architect_class("harbour").__name__ == "Harbour"
    assert architect_class("harbour").ArgsClass.__name__ == "Args"


def test_architects_are_listed_by_name(install: Install) -> None:
    install("zebra", ARCHITECT)
    install("aardvark", ARCHITECT)
    assert list(architects()) == sorted(architects())
    assert {"aardvark", "zebra"} <= architects().keys()


def test_only_the_architect_that_is_asked_for_is_imported(install: Install) -> None:
    other = install("other", "raise SystemExit('imported')")
    module = install("harbour", ARCHITECT)
    assert "other" in architects()
    architect_class("harbour")
    assert module in sys.modules
    assert other not in sys.modules


def test_an_unknown_name_lists_the_known_ones_and_the_nearest(install: Install) -> None:
    install("harbour", ARCHITECT)
    with pytest.raises(ConfigError) as refused:
        architect_class("harbor")
    message = str(refused.value)
    assert "no architect is called 'harbor'; did you mean 'harbour'?; installed: " in message
    assert "harbour" in message.split("installed: ")[1].split(", ")


@pytest.mark.parametrize(
    "source, cause",
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError: "),
        ("x = 1", "AttributeError: "),
    ],
    ids=["missing dependency", "raises", "no Python", "missing attribute"],
)
def test_a_package_that_cannot_be_imported_is_named_with_the_cause(install: Install, source: str, cause: str) -> None:
    module = install("harbour", source)
    with pytest.raises(ConfigError) as refused:
        architect_class("harbour")
    assert f"'harbour' of the package {module} 1.2 ({module}:Harbour) cannot be imported: {cause}" in str(refused.value)
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize("attribute", ["ArchitectArgs", "dataclass", "WithoutArgs"])
def test_what_is_no_architect_is_refused(install: Install, attribute: str) -> None:
    install("harbour", ARCHITECT, attribute)
    with pytest.raises(ConfigError, match="is no subclass of Architect with an ArgsClass"):
        architect_class("harbour")


def test_of_two_with_one_name_the_first_on_the_path_is_meant(install: Install) -> None:
    install("harbour", ARCHITECT)
    first = install("harbour", ARCHITECT)
    assert architects()["harbour"].module == first
