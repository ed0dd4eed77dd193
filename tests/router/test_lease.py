from __future__ import annotations

from falsework.router.lease import Admission, Lease


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
