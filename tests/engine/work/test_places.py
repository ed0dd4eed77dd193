from __future__ import annotations

from falsework.engine.work.places import UnitSet
from hypothesis import given
from hypothesis import strategies as st


@given(st.sets(st.integers(0, 3000)), st.sets(st.integers(0, 3000)), st.sets(st.integers(0, 3000)))
def test_a_unit_set_answers_like_a_set(added: set[int], removed: set[int], other: set[int]) -> None:
    units, others = UnitSet(2000), UnitSet()
    for unit in other:
        others.add(unit)
    for unit in added:
        units.add(unit)
    for unit in removed:
        units.discard(unit)
    model = (set(range(2000)) | added) - removed
    assert units.lowest_outside(others) == min(model - other, default=None)
    assert units.lowest_within(others) == min(model & other, default=None)
    assert bool(units) == bool(model)
