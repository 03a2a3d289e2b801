"""Packages published by `scripts/apt-repo`, and apt on a station that takes them or refuses them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.container import Container
from tests.package.packages import NEXT, PROJECT, UPSTREAM, command, deb, next_version
from tests.package.repository import IN_CONTAINER, Key, Repository, source

pytestmark = [pytest.mark.package, pytest.mark.timeout(600)]

PATCHING = PROJECT / "config/patching"
SOURCES = "/etc/apt/sources.list.d/dock-agent.sources"
UPDATE = "rm -rf /var/lib/apt/lists/* && apt-get update -o APT::Update::Error-Mode=any 2>&1"
NOW, LATER = f"{UPSTREAM}+deb12", f"{NEXT}+deb12"


@pytest.fixture(scope="module")
def key() -> Iterator[Key]:
    with Key() as made:
        yield made


@pytest.fixture
def repository(tmp_path: Path, key: Key) -> Repository:
    return Repository(tmp_path / "published", key)


def example(name: str) -> str:
    return (PATCHING / name).read_text("utf-8")


def flip(path: Path) -> None:
    """Another byte in the middle of a file; its size stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_station_takes_stable_or_canary_as_it_is_told(
    machine: Container, repository: Repository, tmp_path: Path
) -> None:
    repository.do("add", deb(), deb("dock-agent-mtp"))
    repository.do("promote")
    repository.do("add", next_version(deb(), tmp_path))
    both = {("stable", "dock-agent", NOW, 12), ("stable", "dock-agent-mtp", NOW, 12)}
    assert repository.listed() == both | {("canary", "dock-agent", LATER, 12), ("canary", "dock-agent-mtp", NOW, 12)}
    repository.bring_to(machine)
    machine.put("/etc/apt/preferences.d/dock-agent.pref", example("dock-agent.pref"))

    machine.put(SOURCES, source(example("dock-agent.sources"), "stable"))
    machine.sh(UPDATE)
    machine.sh("apt-get install -y --no-install-recommends dock-agent dock-agent-mtp")
    assert machine.sh("dock-agent --version") == f"dock-agent {UPSTREAM}"
    assert machine.sh("apt-get -qq -s upgrade") == ""

    machine.sh("apt-get remove -y dock-agent-mtp")  # there is no next version of it
    machine.put(SOURCES, source(example("dock-agent.sources"), "canary"))
    machine.sh(UPDATE)
    machine.sh("apt-get upgrade -y")
    assert machine.sh("dock-agent --version") == f"dock-agent {NEXT}"

    repository.do("promote")
    assert ("stable", "dock-agent", LATER, 12) in repository.listed()


def test_a_station_refuses_what_was_altered_or_signed_by_somebody_else(
    machine: Container, repository: Repository
) -> None:
    repository.do("add", deb(), "--suite", "stable")
    machine.put(SOURCES, source(example("dock-agent.sources"), "stable"))
    published = machine.root / IN_CONTAINER.lstrip("/")

    for pattern, said in (("InRelease", "signature"), ("Packages*", "Hash Sum mismatch")):
        repository.bring_to(machine)
        machine.put(SOURCES, source(example("dock-agent.sources"), "stable"))
        machine.sh(UPDATE)
        altered = [path for path in (published / "dists/stable").rglob(pattern) if path.stat().st_size]
        assert altered
        for path in altered:
            flip(path)
        done = machine.run(UPDATE)
        assert done.returncode != 0, pattern
        assert said in done.stdout, pattern

    repository.bring_to(machine)
    machine.put(SOURCES, source(example("dock-agent.sources"), "stable"))
    machine.sh(UPDATE)
    (pool,) = (published / "pool").rglob("*.deb")
    flip(pool)
    done = machine.run("apt-get install -y --no-install-recommends dock-agent 2>&1")
    assert done.returncode != 0
    assert "Hash Sum mismatch" in done.stdout
    assert machine.run("dpkg -s dock-agent").returncode != 0

    with Key() as foreign:
        other = Repository(repository.folder.with_name("foreign"), foreign)
        other.do("add", deb(), "--suite", "stable")
        keyring = (repository.folder / "dock-agent.gpg").read_bytes()
        other.bring_to(machine)
        (machine.root / "usr/share/keyrings/dock-agent.gpg").write_bytes(keyring)
        machine.put(SOURCES, source(example("dock-agent.sources"), "stable"))
        done = machine.run(UPDATE)
        assert done.returncode != 0
        assert "NO_PUBKEY" in done.stdout


def test_from_this_repository_nothing_takes_the_place_of_debians_own(
    machine: Container, repository: Repository, tmp_path: Path
) -> None:
    tree = tmp_path / "next"
    next_version(deb(), tmp_path)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text("utf-8").replace("Package: dock-agent\n", "Package: procps\n"), "utf-8")
    foreign = tmp_path / "procps.deb"
    command("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, foreign)
    done = repository.run("add", foreign)
    assert done.returncode == 1
    assert "stations take only dock-agent" in done.stderr

    # Whoever has the key and does not use our script gets no further.
    repository.do("add", deb())
    conf = repository.folder / ".reprepro"
    words = ("reprepro", "--basedir", conf, "--outdir", repository.folder, "--component", "deb12")
    command("env", f"GNUPGHOME={repository.key.home}", *words, "includedeb", "canary", foreign)
    repository.bring_to(machine)
    machine.put(SOURCES, source(example("dock-agent.sources"), "canary"))
    machine.put("/etc/apt/preferences.d/dock-agent.pref", example("dock-agent.pref"))
    machine.sh(UPDATE)
    policy = machine.sh("apt-cache policy procps")
    assert "99.0.0" in policy
    assert "Candidate: 99.0.0" not in policy


def test_a_suite_never_goes_back(repository: Repository, tmp_path: Path) -> None:
    newer = next_version(deb(), tmp_path)
    repository.do("add", newer, "--suite", "stable")
    done = repository.run("add", deb(), "--suite", "stable")
    assert done.returncode == 1
    assert f"stable has dock-agent {LATER} already" in done.stderr
    repository.do("add", deb())
    done = repository.run("promote")
    assert done.returncode == 1
    assert "never go back" in done.stderr
    assert repository.listed() == {("stable", "dock-agent", LATER, 12), ("canary", "dock-agent", NOW, 12)}


def test_a_signature_has_an_end_and_can_be_renewed(repository: Repository) -> None:
    def release() -> str:
        return (repository.folder / "dists/stable/InRelease").read_text("utf-8")

    repository.do("add", deb(), "--suite", "stable", "--valid-days", "3")
    first = release()
    assert "Valid-Until: " in first
    repository.do("refresh", "--valid-days", "4")
    assert release() != first
    valid = [line for text in (first, release()) for line in text.splitlines() if line.startswith("Valid-Until")]
    assert len(set(valid)) == 2


def test_without_the_key_nothing_is_published(repository: Repository) -> None:
    repository.do("add", deb())
    before = (repository.folder / "dists/canary/InRelease").read_bytes()
    with Key() as other:
        other.id = "nobody@example.org"
        done = Repository(repository.folder, other).run("promote")
    assert done.returncode == 1
    assert "gpg has no secret key nobody@example.org" in done.stderr
    assert (repository.folder / "dists/canary/InRelease").read_bytes() == before
