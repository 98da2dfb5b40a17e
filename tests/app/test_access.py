"""Who may ask the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasekit.app.access import Access, Asked, is_loopback, read_name

HERE = Access("127.0.0.1")
ELSEWHERE = Access("0.0.0.0")


def test_this_machine_needs_no_token():
    assert HERE.token == ""
    assert HERE.check(Asked("127.0.0.1:5006")).status == 200
    assert HERE.check(Asked("localhost:7000")).status == 200  # through a tunnel


def test_elsewhere_and_on_shared_computers_a_token_is_needed():
    assert len(ELSEWHERE.token) >= 40
    assert Access("0.0.0.0").token != ELSEWHERE.token
    assert Access("127.0.0.1", needs_token=True).token
    assert ELSEWHERE.check(Asked("localhost:5006")).status == 403
    assert ELSEWHERE.check(Asked("localhost:5006", token="wrong", cookie="wrong")).status == 403
    assert ELSEWHERE.check(Asked("localhost:5006", token=ELSEWHERE.token)).status == 302
    assert ELSEWHERE.check(Asked("localhost:5006", cookie=ELSEWHERE.token)).status == 200


@pytest.mark.parametrize("access", [HERE, ELSEWHERE])
def test_other_names_and_other_sites_are_refused(access):
    good = {"cookie": access.token}
    assert access.check(Asked("evil.example:5006", **good)).status == 403
    assert access.check(Asked("", **good)).status == 403
    for origin in ("http://evil.example", "http://localhost:3000", "null"):
        assert access.check(Asked("localhost:5006", origin, **good)).status == 403
    assert access.check(Asked("localhost:5006", "http://localhost:5006", **good)).status == 200


def test_a_name_can_be_added():
    assert Access("127.0.0.1", origins=["lab.example"]).check(Asked("Lab.example")).status == 200


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_passes_without_the_token(host, origin, cookie, token):
    assert ELSEWHERE.check(Asked(host, origin, cookie, token)).status == 403


@given(st.text())
def test_any_text_has_a_name(text):
    assert isinstance(read_name(text), str)


def test_loopback_is_read_from_the_address():
    assert [is_loopback(host) for host in ("127.0.0.2", "LOCALHOST", "10.0.0.1", "::", "lab")] == [
        True,
        True,
        *[False] * 3,
    ]
