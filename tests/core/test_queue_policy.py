"""Which upload goes next, simulated over many turns."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agent.core.clip import CameraId
from agent.core.object import Digest
from agent.core.queue_policy import Waiting, choose_next, in_turn, must_stop

CAMERAS = [CameraId(f"CAM-{n}") for n in range(5)]


def waiting(sequence: int, camera: CameraId, *, urgent: bool = False, store: str = "central") -> Waiting:
    return Waiting(Digest(f"{sequence:064x}"), store, camera, urgent, sequence, 10)


queues = st.lists(st.tuples(st.sampled_from(CAMERAS), st.booleans()), max_size=30).map(
    lambda rows: [waiting(n, camera, urgent=urgent) for n, (camera, urgent) in enumerate(rows)]
)
turns = st.dictionaries(st.sampled_from(CAMERAS), st.integers(0, 50))


def test_nothing_waits_so_nothing_is_chosen() -> None:
    assert choose_next([], {}) is None


@given(queues.filter(bool), turns)
def test_the_choice_is_urgent_first_then_least_recent_then_oldest(
    queue: list[Waiting], served: dict[CameraId, int]
) -> None:
    chosen = choose_next(queue, served)
    assert chosen is not None
    if any(w.urgent for w in queue):
        assert chosen.urgent
    peers = [w for w in queue if w.urgent == chosen.urgent]
    for peer in peers:
        assert served.get(chosen.camera, -1) <= served.get(peer.camera, -1)
    assert chosen.sequence == min(w.sequence for w in peers if w.camera == chosen.camera)


@given(queues, turns, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_in_which_things_are_named(
    queue: list[Waiting], served: dict[CameraId, int], random: Random
) -> None:
    shuffled = list(queue)
    random.shuffle(shuffled)
    assert choose_next(shuffled, served) == choose_next(queue, served)


def test_two_stores_that_lack_one_object_are_told_apart() -> None:
    both = [waiting(1, CAMERAS[0], store="b"), waiting(1, CAMERAS[0], store="a")]
    assert [choose_next(order, {}) for order in (both, both[::-1])] == [both[1], both[1]]


def test_a_camera_that_was_never_served_goes_before_one_that_was() -> None:
    assert choose_next([waiting(1, CAMERAS[0]), waiting(2, CAMERAS[1])], {CAMERAS[0]: 0}) == waiting(2, CAMERAS[1])


@given(st.lists(st.lists(st.booleans(), min_size=0, max_size=25), min_size=1, max_size=5))
def test_no_camera_waits_longer_than_one_turn_of_every_other(loads: list[list[bool]]) -> None:
    """Within one urgency: between two turns of a camera that still waits, no other camera gets two."""
    pending, number = [], 0
    for camera, load in zip(CAMERAS, loads, strict=False):
        for urgent in load:
            number += 1
            pending.append(waiting(number, camera, urgent=urgent))
    served: dict[CameraId, int] = {}
    waited: dict[tuple[CameraId, bool], int] = {}
    for turn in range(len(pending)):
        chosen = choose_next(pending, served)
        assert chosen is not None
        pending.remove(chosen)
        served[chosen.camera] = turn
        waited[chosen.camera, chosen.urgent] = 0
        for camera in {w.camera for w in pending if w.urgent == chosen.urgent} - {chosen.camera}:
            waited[camera, chosen.urgent] = waited.get((camera, chosen.urgent), 0) + 1
            assert waited[camera, chosen.urgent] <= len(loads)
    assert pending == []


def test_a_steady_stream_of_one_camera_does_not_starve_another() -> None:
    served: dict[CameraId, int] = {}
    patient = waiting(1_000_000, CAMERAS[1])
    for turn in range(3):
        chosen = choose_next([waiting(turn, CAMERAS[0]), patient], served)
        assert chosen is not None
        if chosen == patient:
            return
        served[chosen.camera] = turn
    raise AssertionError("the camera with the newest clip was never served")


@given(queues, queues)
def test_beside_an_urgent_upload_nothing_else_begins_at_its_store(queue: list[Waiting], running: list[Waiting]) -> None:
    chosen = choose_next(queue, {}, running)
    if not any(w.urgent for w in running):
        assert chosen == choose_next(queue, {})
    elif chosen is not None:
        assert chosen.urgent


def test_at_another_store_the_rest_goes_on_beside_an_urgent_upload() -> None:
    running = [waiting(1, CAMERAS[0], urgent=True, store="a")]
    other = waiting(3, CAMERAS[1], store="b")
    assert choose_next([waiting(2, CAMERAS[1], store="a"), other], {}, running) == other
    assert must_stop([*running, other], None, workers=2) == []


def test_the_last_worker_is_not_for_a_store_that_has_all_others_while_another_store_could_be_served() -> None:
    slow, other = (waiting(2, CAMERAS[1], store="slow"), waiting(3, CAMERAS[2], store="other"))
    running = [waiting(n, CAMERAS[0], store="slow") for n in (0, 1)]
    assert choose_next([slow, other], {}, running, workers=4) == slow, "it is not the last one"
    assert choose_next([slow, other], {}, running, workers=3) == other
    assert choose_next([slow], {}, running, workers=3) == slow, "nobody else wants it"
    mixed = [waiting(0, CAMERAS[0], store="slow"), waiting(1, CAMERAS[0], store="third")]
    assert choose_next([slow, other], {}, mixed, workers=3) == slow, "not all others are there"
    assert choose_next([slow, other], {}, [], workers=1) == slow, "one worker takes its turns"


@given(queues, queues, st.integers(1, 5), st.randoms(use_true_random=False))
def test_what_is_urgent_is_chosen_as_if_there_were_workers_without_end(
    queue: list[Waiting], running: list[Waiting], workers: int, random: Random
) -> None:
    queue = [replace(w, store=random.choice(["central", "second"])) for w in queue]
    chosen, freely = choose_next(queue, {}, running, workers), choose_next(queue, {}, running)
    assert (chosen is None) == (freely is None)
    if freely is not None and freely.urgent:
        assert chosen == freely


@given(queues, st.booleans())
def test_what_can_wait_makes_room_for_an_urgent_upload_and_for_no_other(running: list[Waiting], urgent: bool) -> None:
    calm = [w for w in running if not w.urgent]
    stopping = must_stop(running, waiting(99, CAMERAS[0], urgent=urgent), workers=99)
    assert stopping == (calm if urgent or len(calm) < len(running) else [])


@given(queues.filter(bool))
def test_when_all_workers_are_busy_at_other_stores_the_newest_makes_room(running: list[Waiting]) -> None:
    running = [w for w in running if not w.urgent] or [waiting(0, CAMERAS[0])]
    urgent = waiting(99, CAMERAS[0], urgent=True, store="elsewhere")
    assert must_stop(running, urgent, workers=len(running)) == [max(running, key=lambda w: w.sequence)]
    assert must_stop(running, urgent, workers=len(running) + 1) == []
    assert must_stop(running, waiting(99, CAMERAS[0], store="elsewhere"), workers=len(running)) == []
    assert must_stop(running, None, workers=len(running)) == []


@given(queues, turns, st.integers(0, 30), st.randoms(use_true_random=False))
def test_the_turns_that_are_told_are_those_that_are_taken(
    queue: list[Waiting], served: dict[CameraId, int], limit: int, random: Random
) -> None:
    queue = [replace(w, store=random.choice(["central", "second"])) for w in queue]
    told = in_turn(random.sample(queue, len(queue)), served, limit)
    taken: list[Waiting] = []
    turn = max(served.values(), default=-1)
    while len(taken) < limit and (chosen := choose_next([w for w in queue if w not in taken], served)) is not None:
        turn += 1
        served[chosen.camera] = turn
        taken.append(chosen)
    assert told == taken
