"""Durations and addresses on their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen import addresses, durations
from tests.strategies import addresses as spelled_addresses


@pytest.mark.parametrize(
    ("text", "seconds", "canonical"),
    [
        ("8760h0m0s", 8760 * 3600, "8760h0m0s"),
        ("5m", 300, "5m0s"),
        ("1h30m", 5400, "1h30m0s"),
        ("1.5h", 5400, "1h30m0s"),
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("45s", 45, "45s"),
        ("2000ms", 2, "2s"),
        ("1m1m", 120, "2m0s"),
    ],
)
def test_durations_as_go_writes_them(text: str, seconds: int, canonical: str) -> None:
    assert durations.parse(text) == timedelta(seconds=seconds)
    assert durations.text_of(timedelta(seconds=seconds)) == canonical


@given(st.integers(0, 10**10).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_written_duration_is_read_back(duration: timedelta) -> None:
    assert durations.parse(durations.text_of(duration)) == duration


@pytest.mark.parametrize(
    "text",
    ["", "h", "5", "5 m", "5m ", "+5m", "1e3s", ".5h", "5d", "\N{ARABIC-INDIC DIGIT FIVE}m", "9" * 13 + "h", "1h\n"],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(addresses.RejectedError) as caught:
        durations.parse(text)
    assert caught.value.hint


@given(spelled_addresses())
def test_canonical_addresses_stay_as_they_are(text: str) -> None:
    canonical = addresses.canonical_member_address(text)
    assert addresses.canonical_member_address(canonical) == canonical
    assert addresses.parse_ip(canonical) == addresses.parse_ip(text)


@pytest.mark.parametrize(
    ("address", "in_url", "loopback"), [("10.0.0.6", "10.0.0.6", "127.0.0.1"), ("fd00::6", "[fd00::6]", "::1")]
)
def test_addresses_in_urls(address: str, in_url: str, loopback: str) -> None:
    assert addresses.bracketed(address) == in_url
    assert addresses.loopback_for(address) == loopback


@given(st.text(max_size=80))
def test_what_is_shown_is_printable(text: str) -> None:
    shown = addresses.show(text)
    assert shown.isprintable()
    assert shown.startswith('"')
    assert shown.endswith('"')
