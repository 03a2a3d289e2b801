import pytest

from agent.core.clip_name import NAMED_MOST, clip_meant
from agent.core.errors import ActionRefused


@pytest.mark.parametrize("beginning", [["c12"], ["c12", "c123", "c1234"]])
def test_a_whole_id_is_meant_whatever_else_begins_alike(beginning: list[str]) -> None:
    assert clip_meant("c12", beginning, by="The log") == "c12"


def test_the_only_clip_that_begins_so_is_meant() -> None:
    assert clip_meant("c1", ["c123"], by="The log") == "c123"


@pytest.mark.parametrize("wanted", ["c9", ""])
def test_an_unknown_clip_is_said_with_where_to_look(wanted: str) -> None:
    with pytest.raises(ActionRefused, match=f"The log knows no clip {wanted}") as caught:
        clip_meant(wanted, [] if wanted else ["c1"], by="The log")
    assert "dock-agent clips" in caught.value.hint


def test_of_several_that_begin_so_each_is_named() -> None:
    with pytest.raises(ActionRefused, match=r"More than one clip begins with c: c1, c2\."):
        clip_meant("c", ["c1", "c2"], by="The log")


def test_of_many_that_begin_so_only_some_are_named() -> None:
    many = [f"c{number}" for number in range(NAMED_MOST + 1)]
    with pytest.raises(ActionRefused, match=r"c4 and others\.") as caught:
        clip_meant("c", many, by="The log")
    assert many[-1] not in str(caught.value)
