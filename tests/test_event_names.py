"""Every event name in the code stands in docs/events.md, and every name there in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "events.md"
NAME = re.compile(r"[a-z_]+\.[a-z_]+")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def custody_arguments(call: ast.Call) -> list[ast.expr]:
    """Where a call names a custody event: `record(tx, NAME, ...)`, `Move(NAME, ...)`."""
    match call.func:
        case ast.Attribute(attr="record") if len(call.args) > 1:
            return [call.args[1]]
        case ast.Name(id="Move"):
            return [*call.args[:1], *(word.value for word in call.keywords if word.arg == "event")]
        case _:
            return []


def log_arguments(call: ast.Call) -> list[ast.expr]:
    """Where a call names a log event: `log.info(NAME, ...)`."""
    is_log = isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS
    return call.args[:1] if is_log else []


def literals(value: ast.expr, module: ast.Module) -> Iterator[str]:
    """The texts that an expression can be; a variable stands for all that its module ever gives it."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from literals(value.body, module)
            yield from literals(value.orelse, module)
        case ast.Name():
            for node in ast.walk(module):
                match node:
                    case ast.Assign(targets=[ast.Name(id=value.id)]):
                        yield from literals(node.value, module)
                    case _:
                        pass
        case _:  # handed on from a caller, who is looked at as well
            pass


def written() -> dict[str, dict[str, str]]:
    """Section of the page to: each name in the code and a file that writes it."""
    found: dict[str, dict[str, str]] = {"Custody events": {}, "Log events": {}}
    for file in sorted((ROOT / "agent").rglob("*.py")):
        module = ast.parse(file.read_text("utf-8"))
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            for section, values in (("Custody events", custody_arguments(call)), ("Log events", log_arguments(call))):
                for name in (text for value in values for text in literals(value, module)):
                    found[section].setdefault(name, file.relative_to(ROOT).as_posix())
    return found


def told() -> dict[str, list[str]]:
    """Section of the page to its names."""
    sections = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    pairs = zip(sections[::2], sections[1::2], strict=True)
    return {title: re.findall(r"^- `([^`]+)`: \S", text, re.MULTILINE) for title, text in pairs}


def test_every_name_has_its_one_line_and_every_line_its_name() -> None:
    lines, names = told(), written()
    assert lines.keys() == names.keys()
    for section, known in names.items():
        assert len(lines[section]) == len(set(lines[section])), f"{section}: a name is told twice"
        untold = [f"- `{name}`: when; fields  ({known[name]})" for name in sorted(known.keys() - set(lines[section]))]
        assert not untold, f"add to {section} in docs/events.md:\n" + "\n".join(untold)
        assert not set(lines[section]) - known.keys(), f"{section}: told, but nothing writes it"


@pytest.mark.parametrize("section", ["Custody events", "Log events"])
def test_names_are_a_noun_and_a_verb(section: str) -> None:
    names = written()[section]
    assert len(names) > 10
    assert [name for name in names if not NAME.fullmatch(name)] == []
