"""What is in the packages, and that it is the same wherever they are built."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.package.packages import BUILT, PROJECT, UPSTREAM, command, contents, deb, field

pytestmark = [pytest.mark.package, pytest.mark.timeout(360)]

SITE = "/usr/lib/dock-agent/site/"
MOST_BYTES = 15_000_000
NAMES = ("dock-agent", "dock-agent-mtp")


def test_both_packages_are_bit_identical_when_built_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "a folder with a longer name"
    environment = {**os.environ, "TZ": "Asia/Kolkata", "LC_ALL": "C"}
    subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", "-c", 'umask 077 && exec "$0" "$@"', PROJECT / "scripts/build-deb", "--into", elsewhere],
        env=environment,
        check=True,
        timeout=340,
    )
    for name in NAMES:
        assert deb(name, built=elsewhere).read_bytes() == deb(name).read_bytes()


def test_lintian_has_nothing_to_say_but_hints() -> None:
    (changes,) = (BUILT / "debian12-amd64").glob("*.changes")
    command("lintian", "--allow-root", "--fail-on=error,warning", changes)


@pytest.mark.parametrize("name", NAMES)
def test_files_have_usual_rights_and_say_nothing_of_where_they_were_built(name: str, tmp_path: Path) -> None:
    package = deb(name)
    unusual = {
        path: rights
        for path, rights in contents(package).items()
        if rights.split()[1] != "root/root" or rights[:10] not in {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    }
    unusual.pop("/etc/dock-depot/tls/", None)
    assert unusual == {}
    command("dpkg-deb", "--raw-extract", package, tmp_path / "tree")
    files = [path for path in (tmp_path / "tree").rglob("*") if path.is_file()]
    wrong = re.compile(rb"|".join(re.escape(os.fsencode(part)) for part in (BUILT, PROJECT)))
    assert [path.name for path in files if wrong.search(path.read_bytes())] == []
    installers = {"RECORD", "direct_url.json", "INSTALLER"}
    assert [path.name for path in files if path.name in installers or path.suffix == ".pyc"] == []


def test_the_package_is_small_and_leaves_out_what_no_station_needs() -> None:
    package = deb()
    assert package.stat().st_size <= MOST_BYTES
    paths = contents(package)
    assert not [path for path in paths if path.startswith((f"{SITE}botocore/data/", f"{SITE}gphoto2", f"{SITE}av/"))]
    assert not [path for path in paths if path.startswith("/usr/lib/dock-agent/agent/simulate/")]
    assert [path for path in contents(deb("dock-agent-mtp")) if path.endswith("/camlibs/ptp2.so")]


def test_what_people_read_is_there_and_its_pages_lead_to_each_other() -> None:
    paths = contents(deb())
    doc = "/usr/share/doc/dock-agent/"
    for path in (
        "/usr/share/man/man1/dock-agent.1.gz",
        "/usr/share/man/man5/dock-agent.toml.5.gz",
        "/usr/share/man/man8/dock-agent.8.gz",
        "/usr/share/bash-completion/completions/dock-agent",
        "/usr/share/zsh/vendor-completions/_dock-agent",
        f"{doc}README.Debian",
        f"{doc}NEWS.Debian.gz",
        f"{doc}SECURITY.md",
        f"{doc}examples/agent.example.toml",
        f"{doc}examples/usbguard/README.md",
    ):
        assert path in paths
    pages = {path.removeprefix(doc) for path in paths if path.startswith(doc) and path.endswith(".md")}
    linked = {
        (page.name, target)
        for page in (PROJECT / "docs").glob("*.md")
        if page.name in pages
        for target in re.findall(r"\]\(([a-z_-]+\.md)[)#]", page.read_text("utf-8"))
    }
    assert linked
    assert {(page, target) for page, target in linked if target not in pages} == set()


def test_rules_come_after_those_that_say_what_a_disk_holds() -> None:
    rules = [path for path in contents(deb()) if "/udev/rules.d/" in path and path.endswith(".rules")]
    assert rules == ["/lib/udev/rules.d/71-dock-agent.rules"]


def test_the_package_fits_one_python_and_says_so() -> None:
    assert field(deb(), "Version") == f"{UPSTREAM}+deb12"
    assert "python3 (>= 3.11~), python3 (<< 3.12~)" in field(deb(), "Depends")
    assert f"dock-agent (= {UPSTREAM}+deb12)" in field(deb("dock-agent-mtp"), "Depends")


@pytest.mark.parametrize(("name", "sbom"), [("dock-agent", "sbom"), ("dock-agent-mtp", "sbom-mtp")])
def test_the_bill_of_materials_names_what_is_there_with_its_digest(name: str, sbom: str, tmp_path: Path) -> None:
    command("dpkg-deb", "--extract", deb(name), tmp_path)
    bill: dict[str, Any] = json.loads((tmp_path / f"usr/share/dock-agent/{sbom}.cdx.json").read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    lock = (PROJECT / "config/locks/runtime.txt").read_text("utf-8")
    listed = {re.sub(r"[-_.]+", "-", part["name"]): part for part in bill["components"]}
    for part in listed.values():
        (digest,) = part["hashes"]
        assert f"sha256:{digest['content']}" in lock
        assert f"{part['name']}=={part['version']}" in lock
    metadata = (tmp_path / "usr/lib/dock-agent/site").glob("*.dist-info")
    there = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in metadata} - {"bwv-dock-agent"}
    assert there == set(listed)
    licences = {path.stem for path in (tmp_path / f"usr/share/doc/{name}/third-party").iterdir()}
    assert {path.removesuffix(".txt") for path in licences} == there


def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "config/locks/runtime.txt"
    lock.parent.mkdir(parents=True)
    right = hashlib.sha256(b"right").hexdigest()
    lock.write_text(f"six==1.0 \\\n    --hash=sha256:{right}\n")
    wheel = tmp_path / "vendor/six-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"wrong")
    options = ("--version", "1", "--package", "main", "--into", "out")
    done = subprocess.run(  # noqa: S603 - our own program
        ["/usr/bin/python3", "-I", PROJECT / "debian/vendor.py", "unpack", *options],
        cwd=tmp_path,
        env={"SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is not the file that" in done.stderr
    assert not (tmp_path / "out").exists()
