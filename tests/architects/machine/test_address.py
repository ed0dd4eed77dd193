from __future__ import annotations

import pytest
from falsework.architects.machine.address import url_of


@pytest.mark.parametrize(
    "host, url",
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("box", "http://box:1"),
    ],
)
def test_the_url_leads_to_an_address_that_can_be_reached(host: str, url: str) -> None:
    assert url_of(host, 1) == url
