"""The label of an upload, read strictly and kept as sent."""

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.depot.metadata import MAX_HEADER_BYTES, parse_label, raw, shown, write_label
from agent.depot.refusal import Refusal

KEYS = st.from_regex(r"[!-+\--~]{1,12}", fullmatch=True).filter(lambda key: key != "sha256")


@given(st.dictionaries(KEYS, st.binary(max_size=40), max_size=8))
def test_any_label_comes_back_as_it_was_sent(values: dict[str, bytes]) -> None:
    header = ",".join(f"{key} {b64encode(value).decode()}".strip() for key, value in values.items())
    label = parse_label(header)
    assert write_label(label) == header
    assert {key: raw(label, key) or b"" for key in label} == values


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(header: str) -> None:
    with suppress(Refusal):
        label = parse_label(header)
        assert parse_label(write_label(label)) == label


@pytest.mark.parametrize(
    "header",
    [
        "a YQ==,",
        ",a YQ==",
        "a YQ",
        "ä YQ==",
        "a YQ== b",
        "a " + "A" * MAX_HEADER_BYTES,
        ",".join(f"k{n}" for n in range(65)),
    ],
)
def test_a_label_that_could_mean_two_things_is_refused(header: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_label(header)
    assert caught.value.status == 400


def test_a_value_is_shown_as_text_or_as_hex() -> None:
    label = parse_label("name Y2Fmw6k=,odd /w==,empty")
    assert shown(label, "name") == "café"
    assert shown(label, "odd") == {"hex": "ff"}
    assert shown(label, "empty") is None
    assert shown(label, "none") is None
