"""One copy into the spool, with every single system call of it made to fail in turn by strace.

Whatever fails, the copy is reported as failed in words, a later one succeeds by itself, and nothing is left over. No
descriptor is used again after a failed write or fsync on it: the kernel forgets such pages and then reports success.
"""

import hashlib
import json
import random
import re
import resource
from collections import Counter
from pathlib import Path

import pytest

from agent.ledger.spool import Spool
from tests.crash import programs
from tests.crash.processes import Program, Trace, go_on

CALLS = ("openat", "mkdir", "write", "readv", "fchmod", "fsync", "renameat2", "close")
MUST_TELL = {"mkdir", "write", "fchmod", "fsync", "renameat2"}
"""A failure of these may never end as a success."""
WORDS = {"ENOSPC": ("is full", "No space left"), "EIO": ("Input/output error",), "EROFS": ("Read-only",)}
"""What the message says; a spool that cannot even be opened says it in the kernel's words."""
CONTENT = bytes(range(256)) * 1200
LARGE = random.Random(4).randbytes(programs.LARGE_BYTES + 5000)  # noqa: S311 - any bytes
_CALL = re.compile(r"^\d+ +(\w+)\((?:AT_FDCWD, )?(\d*)(?:<([^>]*)>)?.*= (-?\d+)(?: E?(\w+))?")
_NOT_OF_WHOLE_PAGES = "INVAL"
"""Such a write past the page cache was refused as a whole: nothing was tried, so nothing can have been forgotten."""


class Bench:
    """A spool in a folder of its own, and a program that brings one file into it twice."""

    def __init__(self, root: Path, content: bytes = CONTENT) -> None:
        root.mkdir()
        self.root = root
        self.content = content
        self.stored = {"stored": hashlib.sha256(content).hexdigest()}
        self.source = root / "clip"
        self.source.write_bytes(content)
        self.spool = root / "spool"
        self.trace = root / "trace"

    async def run(self, *options: str, limit: str | None = None) -> list[dict[str, str]]:
        """Run it under strace with these options; what each of the two copies came to."""
        words = [str(self.source), str(self.spool), *([limit] if limit else [])]
        program = Program(words, self.root / "log", stopped=True, run=programs.copies)
        await program.is_held()
        trace = await Trace.attach(program.pid, CALLS, self.trace, *options)
        assert trace is not None
        go_on([program.pid])
        assert await program.ended() == 0, (self.root / "log").read_text()
        await trace.end()
        return [json.loads(line) for line in (self.root / "log").read_text().splitlines()]

    def calls(self) -> list[tuple[str, str, str, int]]:
        """The traced calls on disk until the first outcome was told: name, descriptor, its file, result."""
        found = [_CALL.match(line) for line in _whole(self.trace.read_text().splitlines())]
        known = [m for m in found if m is not None and m[5] != _NOT_OF_WHOLE_PAGES]
        return [(m[1], m[2], m[3] or "", int(m[4])) for m in known]

    def check(self, outcomes: list[dict[str, str]]) -> None:
        """The second copy has come off, and nothing else is there."""
        assert outcomes[1] == self.stored, outcomes
        objects = [p for p in self.spool.rglob("*") if p.is_file() and p.parent.name != "rejected"]
        assert [p.name for p in objects] == [self.stored["stored"]]
        assert objects[0].read_bytes() == self.content
        assert objects[0].stat().st_mode & 0o777 == 0o400
        assert self.used_after_failure() == []

    def used_after_failure(self) -> list[str]:
        """Writes and syncs on a descriptor after one of them has failed on it, before it was closed."""
        broken: set[str] = set()
        wrong = []
        for name, fd, file, result in self.calls():
            if name in ("write", "fsync") and fd in broken:
                wrong.append(f"{name} on {file}")
            elif name in ("write", "fsync") and result < 0:
                broken.add(fd)
            elif name == "close":
                broken.discard(fd)
        return wrong


def _whole(lines: list[str]) -> list[str]:
    """Put calls together again that another thread's line has cut in two."""
    begun: dict[str, str] = {}
    whole = []
    for line in lines:
        thread = line.partition(" ")[0]
        start, cut, _ = line.partition(" <unfinished ...>")
        if cut:
            begun[thread] = start
        elif " resumed>" in line:
            whole.append(begun.pop(thread) + line.partition(" resumed>")[2])
        else:
            whole.append(line)
    return whole


async def failures_of(bench: Bench) -> list[tuple[str, int]]:
    """All calls of one copy, each with its number among its like."""
    assert await bench.run() == [bench.stored] * 2
    counts: Counter[str] = Counter()
    found = []
    for name, _, file, _ in bench.calls():
        if name == "write" and file.endswith("/log"):
            break  # the first copy is told
        counts[name] += 1
        found.append((name, counts[name]))
    return found


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
async def test_every_call_of_a_copy_may_fail(tmp_path: Path, error: str) -> None:
    await fail_each(tmp_path, error, CONTENT)


async def test_every_call_of_a_large_copy_may_fail(tmp_path: Path) -> None:
    """Past the page cache, where the file system can; the end, which is no whole page, goes the ordinary way."""
    await fail_each(tmp_path, "EIO", LARGE, only=("write", "fsync"))


async def fail_each(tmp_path: Path, error: str, content: bytes, only: tuple[str, ...] = CALLS) -> None:
    failures = await failures_of(Bench(tmp_path / "clean", content))
    assert {name for name, _ in failures} >= MUST_TELL
    for name, number in [failure for failure in failures if failure[0] in only]:
        bench = Bench(tmp_path / f"{name}-{number}", content)
        outcomes = await bench.run("-e", f"inject={name}:error={error}:when={number}")
        assert "(INJECTED)" in bench.trace.read_text()
        if name in MUST_TELL:
            assert "error" in outcomes[0], (name, number)
        if "error" in outcomes[0]:
            assert any(word in outcomes[0]["message"] for word in WORDS[error]), (name, number, outcomes)
        bench.check(outcomes)


async def test_every_call_of_a_copy_may_fail_where_the_object_lies_already(tmp_path: Path) -> None:
    """The bytes were here before: they are read and compared first, and a failed reading does not cost them."""
    clean = Bench(tmp_path / "clean")
    await clean.run()
    again = await failures_of_again(clean)
    for name, number in again:
        bench = Bench(tmp_path / f"{name}-{number}")
        await bench.run()
        (bench.root / "log").unlink()
        outcomes = await bench.run("-e", f"inject={name}:error=EIO:when={number}")
        bench.check(outcomes)


async def failures_of_again(bench: Bench) -> list[tuple[str, int]]:
    (bench.root / "log").unlink()
    found = await failures_of(bench)
    assert "readv" in {name for name, _ in found}
    return found


async def test_a_file_that_cannot_grow_ends_in_a_short_write_and_an_error(tmp_path: Path) -> None:
    """The kernel's own refusal instead of an injected one: the last write is short, the next one fails."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    bench = Bench(tmp_path / "bench")
    outcomes = await bench.run(limit=str(programs.BLOCK_BYTES + 1))
    results = [result for name, _, file, result in bench.calls() if name == "write" and file.endswith(".part")]
    assert results[:3] == [programs.BLOCK_BYTES, 1, -1]
    assert outcomes[0]["error"] == "SpoolError"
    assert "File too large" in outcomes[0]["message"]
    bench.check(outcomes)


async def test_full_for_good_it_says_so_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    Spool.open(bench.spool, allow_unsafe=True, reserve_bytes=0)
    outcomes = await bench.run("-e", "inject=fsync:error=ENOSPC")
    assert [o["error"] for o in outcomes] == ["SpoolFull", "SpoolFull"]
    assert list((bench.spool / "incoming").iterdir()) == []
    assert bench.used_after_failure() == []
