"""A port that flaps is left out until it stands still."""

from agent.devices.debounce import Debounce


def test_a_camera_that_is_docked_is_shown_at_once() -> None:
    debounce = Debounce()
    assert debounce.again_s({"1": "a"}, 0.0) is None
    assert debounce.flapping == frozenset()


def test_a_camera_that_switches_its_mode_is_no_flapping() -> None:
    debounce = Debounce()
    for now, here in enumerate([{"1": "a"}, {}, {"1": "b"}, {}]):
        debounce.again_s(here, float(now))
    assert debounce.flapping == frozenset()


def test_two_hundred_contacts_in_ten_seconds_show_nothing_until_they_end() -> None:
    debounce, shown = Debounce(), 0
    for number in range(400):
        now = number * 0.025
        here = {"1": str(number)} if number % 2 == 0 else {}
        debounce.again_s(here, now)
        shown += bool(here) and "1" not in debounce.flapping
    assert shown <= 3
    last = {"1": "at last"}
    assert debounce.again_s(last, 10.0) == 2.0
    assert "1" in debounce.flapping
    assert debounce.again_s(last, 11.5) == 0.5
    assert debounce.again_s(last, 12.0) is None
    assert debounce.flapping == frozenset()


def test_a_flapping_port_holds_up_no_other() -> None:
    debounce = Debounce()
    for number in range(20):
        debounce.again_s({"1": str(number), "2": "calm"}, number * 0.1)
    assert debounce.flapping == frozenset({"1"})


def test_what_was_long_ago_does_not_count() -> None:
    debounce = Debounce()
    for number in range(40):
        debounce.again_s({"1": str(number)}, number * 60.0)
    assert debounce.flapping == frozenset()


def test_an_empty_port_that_flapped_is_forgotten() -> None:
    debounce = Debounce()
    for number in range(20):
        debounce.again_s({"1": str(number)}, number * 0.1)
    debounce.again_s({}, 100.0)
    debounce.again_s({}, 200.0)
    assert debounce.again_s({"1": "new"}, 201.0) is None
