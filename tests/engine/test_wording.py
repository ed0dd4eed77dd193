from __future__ import annotations

from falsework.engine.wording import did_you_mean


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert did_you_mean("Port", ["host", "port"]) == "; did you mean 'port'?"
    assert did_you_mean("zzz", ["host", "port"]) == ""
