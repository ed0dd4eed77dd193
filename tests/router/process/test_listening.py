from __future__ import annotations

import errno
import socket

import pytest
from falsework.router.process.listening import close_listeners, open_listeners, port_of


def test_all_addresses_of_a_name_share_one_port() -> None:
    listeners = open_listeners("localhost", 0)
    assert {listener.getsockname()[1] for listener in listeners} == {port_of(listeners)}
    assert port_of(listeners) > 0
    close_listeners(listeners)
    close_listeners(listeners)


def test_who_connects_before_anybody_accepts_waits_in_the_queue() -> None:
    (listener,) = open_listeners("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port_of([listener]))) as hasty:
        accepted, _ = listener.accept()
        with accepted:
            hasty.sendall(b"x")
            assert accepted.recv(1) == b"x"
    listener.close()


def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError) as raised:
        open_listeners("127.0.0.1", taken.getsockname()[1])
    assert raised.value.errno == errno.EADDRINUSE


def test_an_address_that_this_machine_lacks_is_passed_over_if_there_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **how: [nowhere, here])
    listeners = open_listeners("both", 0)
    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1"]
    close_listeners(listeners)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **how: [nowhere])
    with pytest.raises(OSError) as raised:
        open_listeners("nowhere", 0)
    assert raised.value.errno == errno.EADDRNOTAVAIL
