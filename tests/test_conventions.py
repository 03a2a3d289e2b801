"""House rules that no ready-made linter knows."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "agent"
MODULES = sorted(AGENT.rglob("*.py"))

MAX_LINES = 300
VAGUE_NAMES = {"utils", "util", "helpers", "manager", "common"}
TASK_GROUP_NAMES = {"group", "tg"}

# Where one camera, store or request must not end the others, whatever it throws. Paths below agent/.
MAY_CATCH_ALL: frozenset[str] = frozenset(
    {
        "files/side_hash.py",
        "services/announcer.py",
        "services/station.py",
        "services/uploader.py",
        "stores/s3_delivery.py",  # raises again what says most, once no part is under way any more
    }
)
# A task group ends all its tasks when one fails: here what the store acknowledges meanwhile is kept. All are awaited.
OWN_TASKS: frozenset[str] = frozenset({"stores/s3_convoy.py"})

# Files from which packages are taken; where from is the machine's business.
REGISTRY_HOST = re.compile(r"\b(?:pypi|pythonhosted|npmjs|yarnpkg|deb\.debian)\.(?:org|com)\b")
# A path that begins here, not one that merely contains such a word.
MACHINE_PATH = re.compile(r"(?<![\w./$}-])/(?:work/|root/|Users/|home/[a-z])")
MADE_FOLDERS = {"__pycache__", "node_modules", "build", "dist", "htmlcov"}
THIS_FILE = Path(__file__).resolve()


def below_agent(module: Path) -> str:
    return module.relative_to(AGENT).as_posix()


def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"), filename=str(module))


def stray_tasks(tree: ast.AST) -> list[int]:
    """Lines that start a task which no task group owns."""
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="create_task" | "ensure_future")):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="ensure_future")):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=owner, attr="create_task")):
                if not (isinstance(owner, ast.Name) and owner.id in TASK_GROUP_NAMES):
                    lines.append(node.lineno)
            case _:
                pass
    return lines


def catch_alls(tree: ast.AST) -> list[int]:
    """Lines with `except:`, `except Exception` or `except BaseException`, alone or in a tuple.

    One that ends by raising the same again swallows nothing: it only cleans up.
    """
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {kind.id for kind in caught if isinstance(kind, ast.Name)}
        last = node.body[-1]
        cleans_up = isinstance(last, ast.Raise) and last.exc is None
        if not cleans_up and (node.type is None or names & {"Exception", "BaseException"}):
            lines.append(node.lineno)
    return lines


def project_files() -> list[Path]:
    """Every file that is, or may become, part of the repository; what scripts and tools make is not."""
    found = []
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [
            name
            for name in subfolders
            if name not in MADE_FOLDERS and not name.endswith(".egg-info") and (name[0] != "." or name == ".ci")
        ]
        found += [Path(folder, name) for name in names if not name.startswith(".coverage")]
    return sorted(path for path in found if path.is_file())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("group.create_task(x())", []),
        ("tg.create_task(x())", []),
        ("asyncio.create_task(x())", [1]),
        ("self.group.create_task(x())", [1]),
        ("create_task(x())", [1]),
        ("asyncio.ensure_future(x())", [1]),
        ("ensure_future(x())", [1]),
    ],
)
def test_the_task_rule_sees_what_it_must(source: str, expected: list[int]) -> None:
    assert stray_tasks(ast.parse(source)) == expected


@pytest.mark.parametrize("caught", ["", " Exception", " BaseException", " (OSError, Exception)"])
def test_the_catch_all_rule_sees_what_it_must(caught: str) -> None:
    assert catch_alls(ast.parse(f"try:\n    x()\nexcept{caught}:\n    pass\n")) == [3]


@pytest.mark.parametrize("handler", [" OSError:\n    pass", " BaseException:\n    y()\n    raise"])
def test_the_catch_all_rule_lets_pass_what_it_may(handler: str) -> None:
    assert catch_alls(ast.parse(f"try:\n    x()\nexcept{handler}\n")) == []


@pytest.mark.parametrize("module", MODULES, ids=below_agent)
def test_every_task_belongs_to_a_group(module: Path) -> None:
    assert bool(stray_tasks(tree_of(module))) == (below_agent(module) in OWN_TASKS)


@pytest.mark.parametrize("module", MODULES, ids=below_agent)
def test_only_named_guards_catch_everything(module: Path) -> None:
    if below_agent(module) not in MAY_CATCH_ALL:
        assert catch_alls(tree_of(module)) == []


def test_every_named_guard_still_needs_its_exception() -> None:
    unneeded = [name for name in MAY_CATCH_ALL if not catch_alls(tree_of(AGENT / name))]
    assert unneeded == []


@pytest.mark.parametrize("module", MODULES, ids=below_agent)
def test_a_module_is_short(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize("module", MODULES, ids=below_agent)
def test_a_module_is_named_after_what_it_holds(module: Path) -> None:
    assert not VAGUE_NAMES & set(module.relative_to(AGENT).with_suffix("").parts)


def contracts() -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def rooms(layer: str) -> set[str]:
    return {name.strip(" ()") for name in layer.split("|")}


def existing_rooms() -> set[str]:
    found = (
        path
        for path in AGENT.iterdir()
        if (path.name.isidentifier() and path.name not in MADE_FOLDERS)
        or (path.suffix == ".py" and not path.stem.startswith("__"))
    )
    return {f"agent.{path.stem}" for path in found}


def test_every_room_has_its_place_in_the_order() -> None:
    ordered = set().union(*map(rooms, contracts()["rooms"]["layers"]))
    assert existing_rooms() <= ordered


@pytest.mark.parametrize(("contract", "allowed"), [("services", "agent.ledger"), ("depot", "agent.observe")])
def test_flows_and_depot_are_kept_from_every_sibling_but_one(contract: str, allowed: str) -> None:
    siblings = next(rooms(row) for row in contracts()["rooms"]["layers"] if "agent.ledger" in row)
    forbidden = set(contracts()[contract]["forbidden_modules"])
    assert (siblings & existing_rooms()) - {allowed} <= forbidden


def test_no_file_names_this_machine_or_a_package_registry() -> None:
    found = []
    for path in project_files():
        if path == THIS_FILE:
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        named = REGISTRY_HOST.findall(text) + MACHINE_PATH.findall(text)
        if named:
            found.append((path.relative_to(ROOT).as_posix(), named))
    assert found == []
