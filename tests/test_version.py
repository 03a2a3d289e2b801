"""One version: of the project, of the code, and of the Debian package."""

import re
import tomllib
from pathlib import Path

from agent import __version__

ROOT = Path(__file__).resolve().parents[1]


def test_project_code_and_package_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = re.match(r"dock-agent \(([^)]+)\)", (ROOT / "debian/changelog").read_text("utf-8"))
    assert changelog is not None
    assert __version__ == project == changelog[1]


def test_news_belong_to_versions_that_there_are() -> None:
    """What apt-listchanges shows of an upgrade hangs on the version."""
    head = re.compile(r"(?m)^dock-agent \(([^)]+)\)")
    news = head.findall((ROOT / "debian/NEWS").read_text("utf-8"))
    assert news
    assert set(news) <= set(head.findall((ROOT / "debian/changelog").read_text("utf-8")))
