"""A reader process that misbehaves: `bad_reader.py MODE FD`. It opens any camera properly and then turns bad."""

import array
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

MODE = sys.argv[1]
CONTROL = socket.socket(fileno=int(sys.argv[2]))
ENTRY = {"path": b"a.mp4".hex(), "size": 1000, "mtime_ns": 1}


def ask() -> tuple[dict[str, Any], int | None]:
    size = array.array("i").itemsize
    line, ancillary, _flags, _address = CONTROL.recvmsg(1 << 16, socket.CMSG_LEN(size))
    if not line:
        sys.exit(0)
    fds = array.array("i")
    for _level, _kind, data in ancillary:
        fds.frombytes(data)
    return json.loads(line), fds[0] if fds else None


def say(text: bytes) -> None:
    CONTROL.sendall(text)


def answer(request: dict[str, Any], ok: object) -> None:
    say(json.dumps({"id": request["id"], "ok": ok}).encode() + b"\n")


def for_ever(text: bytes) -> None:
    while True:
        say(text)


def hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while True:
        time.sleep(3600)


def die(_request: dict[str, Any]) -> None:
    sys.stderr.write("out of cheese\n")
    sys.exit(3)


def rows(*listed: object, done: bool = True) -> Any:
    return lambda request: answer(request, {"rows": list(listed), "done": done})


def raw(text: bytes) -> Any:
    return lambda _request: say(text)


def answer_twice(request: dict[str, Any]) -> None:
    answer(request, {"rows": [ENTRY], "done": True})
    answer(request, {"rows": [ENTRY | {"path": b"second.mp4".hex()}], "done": True})


def flood_stderr(_request: dict[str, Any]) -> None:
    while True:
        os.write(2, b"x" * 4096)


def hang_up(_request: dict[str, Any]) -> None:
    CONTROL.close()
    hang()


def leave_children(request: dict[str, Any]) -> None:
    """Answer, and leave processes behind that hold everything open and are deaf to what can be heard."""
    for _ in range(3):
        if os.fork() == 0:
            hang()
    answer(request, {"rows": [ENTRY], "done": True})


def send_descriptors(request: dict[str, Any]) -> None:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
    line = json.dumps({"id": request["id"], "ok": {"rows": [ENTRY], "done": True}}).encode() + b"\n"
    socket.send_fds(CONTROL, [line], fds)


def stale_answer_first(request: dict[str, Any]) -> None:
    say(b'{"id": 1, "ok": {}}\n')
    answer(request, {"rows": [ENTRY], "done": True})


LISTING: dict[str, Any] = {
    "hangs": lambda _request: hang(),
    "dies": die,
    "chatters_at_exit": lambda _request: (sys.stderr.write("\x1b]0;evil\n" * 100_000), sys.exit(1)),
    "garbage": raw(b"\x00\xff{{{\n"),
    "no_object": raw(b"[1]\n"),
    "deep": raw(b"[" * 60_000 + b"\n"),
    "huge_number": raw(b'{"id": ' + b"9" * 60_000 + b"}\n"),
    "not_a_number": raw(b'{"id": NaN, "ok": {}}\n'),
    "no_id": raw(b'{"ok": {}}\n'),
    "later_id": raw(b'{"id": 99, "ok": {"rows": [], "done": true}}\n'),
    "no_answer": lambda request: say(json.dumps({"id": request["id"], "error": 7}).encode() + b"\n"),
    "endless_line": lambda _request: for_ever(b"x" * 65536),
    "endless_lines": lambda _request: for_ever(b'{"id": 1, "ok": {}}\n' * 100),
    "endless_empty": rows(done=False),
    "endless_full": rows(*[ENTRY] * 500, done=False),
    "batch_too_large": rows(*[ENTRY] * 501),
    "done_is_no_word": lambda request: answer(request, {"rows": [], "done": 1}),
    "rows_are_none": lambda request: answer(request, {"done": True}),
    "row_is_text": rows("a.mp4"),
    "path_up": rows(ENTRY | {"path": b"../a.mp4".hex()}),
    "path_absolute": rows(ENTRY | {"path": b"/etc/passwd".hex()}),
    "path_empty": rows(ENTRY | {"path": ""}),
    "path_nul": rows(ENTRY | {"path": b"a\0b".hex()}),
    "path_no_hex": rows(ENTRY | {"path": "a.mp4"}),
    "path_no_text": rows(ENTRY | {"path": 7}),
    "path_endless": rows(ENTRY | {"path": (b"x" * 11_000).hex()}),
    "size_negative": rows(ENTRY | {"size": -1}),
    "size_true": rows(ENTRY | {"size": True}),
    "size_fraction": rows(ENTRY | {"size": 1.5}),
    "size_beyond_all": rows(ENTRY | {"size": 1 << 63}),
    "reason_is_prose": rows({"path": b"a".hex(), "reason": "<script>"}),
    "unknown_problem": lambda request: say(
        json.dumps({"id": request["id"], "error": {"code": "lunch", "text": "\x1b\n", "errno": 0}}).encode() + b"\n"
    ),
    "answers_twice": answer_twice,
    "floods_stderr": flood_stderr,
    "hangs_up_and_lives": hang_up,
    "leaves_children": leave_children,
    "sends_descriptors": send_descriptors,
    "stale_answers_first": stale_answer_first,
}  # fmt: skip


MARKS: dict[str, object] = {
    "mark_empty": "",
    "mark_endless": "x" * 201,
    "mark_no_text": 7,
    "mark_two_lines": "1:2:3\n",
    "mark_half_a_character": "\ud800",
}


def send_and_hang(pipe: int, count: int) -> None:
    os.write(pipe, bytes(count))
    hang()


def send_half_and_die(pipe: int) -> None:
    os.write(pipe, bytes(500))
    die({})


def send_half_and_flood(pipe: int) -> None:
    os.write(pipe, bytes(500))
    flood_stderr({})


def send_for_ever(pipe: int) -> None:
    with suppress(BrokenPipeError):
        while True:
            os.write(pipe, bytes(1 << 20))


def keep_the_pipe_open(pipe: int) -> None:
    os.write(pipe, bytes(1000))
    if os.fork() == 0:
        hang()


def hang_up_and_send(pipe: int) -> None:
    os.write(pipe, bytes(500))
    CONTROL.close()
    os.write(pipe, bytes(500))
    os.close(pipe)
    hang()


SENDING: dict[str, Any] = {
    "sends_nothing": lambda _pipe: hang(),
    "sends_half_and_hangs": lambda pipe: send_and_hang(pipe, 500),
    "sends_half_and_dies": send_half_and_die,
    "sends_for_ever": send_for_ever,
    "sends_one_more": lambda pipe: os.write(pipe, bytes(1001)),
    "keeps_the_pipe_open": keep_the_pipe_open,
    "hangs_up_in_mid_reading": hang_up_and_send,
    "floods_stderr_in_mid_reading": send_half_and_flood,
    "sends_less_than_it_says": lambda pipe: os.write(pipe, bytes(999)),
    "sends_less": lambda pipe: os.write(pipe, bytes(999)),
}
SAYS_IT_SENT = {"sends_less": 999, "denies_what_it_sent": 10}


def read(request: dict[str, Any], pipe: int) -> None:
    """Play one reading of ENTRY, then answer `finish`."""
    state = {"size": ENTRY["size"], "mtime_ns": ENTRY["mtime_ns"]}
    answer(request, state)
    SENDING.get(MODE, lambda pipe: os.write(pipe, bytes(1000)))(pipe)
    os.close(pipe)
    request, _ = ask()
    if MODE == "has_no_finish":
        hang()
    finish = {"sent": SAYS_IT_SENT.get(MODE, 1000), **state, "mark": MARKS.get(MODE, "1:2:3")}
    if MODE == "mark_missing":
        del finish["mark"]
    answer(request, finish)


def main() -> None:
    request, _ = ask()
    facts: dict[str, object] = {"serial": "BAD", "battery_percent": 900, "capacity_bytes": -1}
    if MODE == "odd_facts":
        facts |= {"serial": "\0\ud800" + "x" * 1000, "model": 7, "battery_percent": True}
    answer(request, {"facts": None if MODE == "no_facts" else facts, "can_wipe": False})
    while True:
        request, pipe = ask()
        if pipe is not None:
            read(request, pipe)
        elif MODE in LISTING:
            LISTING[MODE](request)
        else:
            answer(request, {"paths": [b"never asked for".hex()]})


main()
