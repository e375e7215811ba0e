"""Unlock codes: readable, and a slip is noticed; sealing: the same bytes each time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlegen.pki import sealing

numbers = st.integers(0, (1 << sealing.BITS) - 1)


@given(numbers)
def test_a_code_is_readable_and_says_what_it_is(number: int) -> None:
    code = sealing.code(number)
    assert [len(group) for group in code.split("-")] == [3] * 9
    password = sealing.password(code)
    assert len(password) == 26
    assert sum(sealing.ALPHABET.index(each) << 5 * place for place, each in enumerate(reversed(password))) == number


@given(numbers, st.integers(0, 1 << 32))
def test_a_code_may_be_typed_in_many_ways(number: int, luck: int) -> None:
    code = sealing.code(number)
    typed = code.lower().replace("-", random.Random(luck).choice(["", " ", "-", " - "]))
    typed = typed.replace("0", "o").replace("1", random.Random(luck).choice("iIlL"))
    assert sealing.password(f" {typed}\n") == sealing.password(code)


@pytest.mark.parametrize("number", [0, 1, (1 << 130) - 1, 0x2DEADBEEF0123456789ABCDEF01234567])
def test_every_slip_is_noticed(number: int) -> None:
    """One wrong character, two neighbours swapped, one left out or doubled."""
    plain = sealing.code(number).replace("-", "")
    slips = [
        plain[:at] + other + plain[at + 1 :] for at in range(27) for other in sealing.ALPHABET if other != plain[at]
    ]
    slips += [
        plain[:at] + plain[at + 1] + plain[at] + plain[at + 2 :] for at in range(26) if plain[at] != plain[at + 1]
    ]
    slips += [plain[:-1], plain + plain[-1], "", "U" * 27]
    assert len(slips) > 27 * 31
    for slip in slips:
        with pytest.raises(ValueError, match="unlock code"):
            sealing.password(slip)


def test_sealing_depends_on_everything_and_nothing_else() -> None:
    code, other = sealing.code(7), sealing.code(8)
    once = sealing.seal(b"key", code, "a")
    assert sealing.seal(b"key", code.lower(), "a") == once
    boxes = [once, sealing.seal(b"key", code, "b"), sealing.seal(b"kez", code, "a"), sealing.seal(b"key", other, "a")]
    assert len({box[8:16] for box in boxes}) == 4
    assert all(box.startswith(b"Salted__") and len(box) == 32 for box in boxes)
