"""The tests that debian/tests declares, and how autopkgtest runs them."""

import re

from tests.package.container import Container
from tests.package.packages import PROJECT

FOLDER = PROJECT / "debian/tests"
USER = "nobody"


def declared() -> dict[str, set[str]]:
    """Each test's name with its restrictions."""
    found: dict[str, set[str]] = {}
    for stanza in re.split(r"\n\n+", (FOLDER / "control").read_text("utf-8")):
        fields = dict(re.findall(r"(?m)^([A-Z]\S+): (.*)$", stanza))
        found |= {name: set(fields["Restrictions"].replace(",", " ").split()) for name in fields["Tests"].split()}
    return found


def run(machine: Container, name: str) -> int:
    """One test in a copy of our folder, with a place of its own; its exit code."""
    machine.put(f"/opt/source/debian/tests/{name}", (FOLDER / name).read_text("utf-8"))
    user = "root" if "needs-root" in declared()[name] else USER
    place = machine.sh(f"chmod 755 /opt/source/debian/tests/{name} && runuser -u {user} -- mktemp -d -p /var/tmp")
    words = f"AUTOPKGTEST_TMP={place} HOME={place} PATH=$PATH debian/tests/{name}"
    return machine.run(f"cd /opt/source && exec runuser -u {user} -- env {words}", seconds=300).returncode
