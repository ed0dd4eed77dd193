from __future__ import annotations

import os
import signal

import pytest
from falsework.router.board.lease import (
    OVERTIME,
    Admission,
    Lease,
    LeaseState,
)
from falsework.router.door.lease_memory import LeaseMemory


def lease(seconds: float = 10.0, grace: float = 100.0) -> Lease:
    return Lease(seconds, grace, now=1000.0)


def test_a_router_that_is_heard_admits_workers() -> None:
    assert lease().admission(1010.0) is Admission.OPEN
    assert not lease().is_over(1010.0, held=0)


def test_a_router_unheard_for_longer_than_the_lease_admits_nobody() -> None:
    assert lease().admission(1010.1) is Admission.UNHEARD


def test_any_word_renews_the_lease() -> None:
    renewed = lease()
    renewed.renew(1030.0)
    assert renewed.admission(1040.0) is Admission.OPEN
    renewed.renew(1040.0, seconds=1.0)
    assert renewed.admission(1042.0) is Admission.UNHEARD


def test_an_unheard_router_ends_once_it_holds_nothing() -> None:
    assert lease().is_over(1011.0, held=0)
    assert not lease().is_over(1011.0, held=1)


def test_an_unheard_router_keeps_what_it_holds_for_the_grace() -> None:
    assert not lease().is_over(1110.0, held=1)
    assert lease().is_over(1110.1, held=1)


def test_a_draining_router_admits_nobody_and_does_not_end() -> None:
    draining = lease()
    draining.drain()
    assert draining.admission(1000.0) is Admission.DRAINING
    assert not draining.is_over(1000.0, held=0)


def test_a_draining_router_that_is_not_heard_ends_as_any_other() -> None:
    draining = lease()
    draining.drain()
    assert draining.admission(1011.0) is Admission.UNHEARD
    assert draining.is_over(1011.0, held=0)


def test_a_router_that_was_left_for_good_ends_once_it_holds_nothing() -> None:
    left = lease()
    left.drain()
    left.end()
    left.drain()
    assert left.is_closed
    assert left.admission(1000.0) is Admission.CLOSED
    assert not left.is_over(1000.0, held=1)
    assert left.is_over(1000.0, held=0)
    assert left.is_over(1110.1, held=1)


# Limits of its own


def limited(idle_timeout: float | None = None, lifetime_left: float | None = None) -> Lease:
    return Lease(1e6, 100.0, now=1000.0, idle_timeout=idle_timeout, lifetime_left=lifetime_left)


def test_a_router_that_no_worker_spoke_to_admits_nobody_after_the_idle_time() -> None:
    idle = limited(idle_timeout=10.0)
    assert idle.admission(1010.0) is Admission.OPEN
    assert idle.admission(1010.1) is Admission.IDLE
    idle.worker_heard(1010.2)
    assert idle.admission(1020.2) is Admission.OPEN


def test_the_launchers_word_does_not_end_the_idleness() -> None:
    idle = limited(idle_timeout=10.0)
    idle.renew(1009.0)
    assert idle.admission(1010.1) is Admission.IDLE


def test_nobodys_word_makes_a_router_younger() -> None:
    old = limited(lifetime_left=10.0)
    assert old.admission(1010.0) is Admission.OPEN
    old.renew(1010.0, seconds=500.0)
    old.worker_heard(1010.0)
    assert old.admission(1010.1) is Admission.EXPIRED
    assert old.lifetime_left(1004.0) == 6.0
    assert old.lifetime_left(1011.0) == 0.0
    assert limited().lifetime_left(1e9) is None


def test_a_router_that_was_too_old_when_it_started_never_opens() -> None:
    assert limited(lifetime_left=-5.0).admission(1000.0) is Admission.EXPIRED


@pytest.mark.parametrize("limit", ["idle_timeout", "lifetime_left"])
def test_past_a_limit_it_ends_as_past_its_lease(limit: str) -> None:
    past = limited(**{limit: 10.0})
    assert not past.is_over(1010.0, held=0)
    assert past.is_over(1010.1, held=0)
    assert not past.is_over(1110.0, held=1)
    assert past.is_over(1110.1, held=1)


@pytest.mark.parametrize("limit", ["idle_timeout", "lifetime_left"])
def test_an_attached_launcher_has_a_while_to_take_the_server_down_itself(limit: str) -> None:
    past = limited(**{limit: 10.0})
    assert not past.is_over(1010.0 + OVERTIME, held=0, is_attended=True)
    assert past.is_over(1010.1 + OVERTIME, held=0, is_attended=True)
    assert past.is_over(1110.1 + OVERTIME, held=1, is_attended=True)


def test_an_attached_launcher_that_is_not_heard_has_none() -> None:
    assert lease().is_over(1010.1, held=0, is_attended=True)


def test_a_router_that_takes_anothers_place_knows_what_that_one_knew() -> None:
    first = limited(idle_timeout=10.0)
    first.renew(1003.0, seconds=50.0)
    first.worker_heard(1004.0)
    first.drain()
    second = Lease(9.0, 9.0, now=1005.0, idle_timeout=10.0, before=first.state)
    assert second.state == first.state
    assert second.started == 1005.0
    assert second.admission(1005.0) is Admission.DRAINING
    assert second.admission(1014.1) is Admission.IDLE
    assert second.admission(1053.1) is Admission.UNHEARD


@pytest.mark.parametrize("asked", [None, *Admission])
def test_the_memory_of_a_lease_gives_back_what_was_saved_last(asked: Admission | None) -> None:
    memory = LeaseMemory()
    assert memory.load() is None
    memory.save(LeaseState(1.0, 2.0, 3.0, None))
    state = LeaseState(1e9 + 0.25, 900.0, 0.5, asked)
    memory.save(state)
    assert memory.load() == state


def test_the_memory_of_a_lease_outlives_the_process_that_wrote_it() -> None:
    memory, state = LeaseMemory(), LeaseState(1.0, 2.0, 3.0, Admission.DRAINING)
    writer = os.fork()
    if writer == 0:
        memory.save(state)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(writer, 0)
    assert memory.load() == state
