"""Every key of the configuration with its default and bounds, as the model has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import get_args

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agent.config.model import Model

_BOUNDS = ((Ge, "ge", "at least"), (Gt, "gt", "above"), (Le, "le", "at most"))


@dataclass(frozen=True, slots=True)
class Key:
    """`table` as in a file: `[station]`, `[[stores.hours]]`. `facts` is what stands in brackets behind the key."""

    table: str
    name: str
    facts: str


def keys() -> list[Key]:
    """All of them, in the order of the model."""
    found: list[Key] = []
    for name, field in Model.model_fields.items():
        found += _table(name, field)
    return found


def _table(name: str, field: FieldInfo) -> Iterator[Key]:
    table, many = _model_in(field.annotation)
    assert table is not None, f"{name} is no table"
    head = f"[[{name}]]" if many else f"[{name}]"
    inner: list[Key] = []
    for key, value in table.model_fields.items():
        below, _ = _model_in(value.annotation)
        if below is None:
            yield Key(head, value.alias or key, _facts(value))
        else:
            inner += _table(f"{name}.{key}", value)
    yield from inner


def _model_in(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """The table that a key holds, and whether it holds a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for part in get_args(annotation):
        found, _ = _model_in(part)
        if found is not None:
            return found, True
    return None, False


def _facts(field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"default {_written(field.default)}"
    bounds = [f"{word} {_number(b)}" for kind, at, word in _BOUNDS for b in _bounds(field, kind, at)]
    return "; ".join([default, *([", ".join(bounds)] if bounds else [])])


def _bounds(field: FieldInfo, kind: type, at: str) -> list[float]:
    parts = [*field.metadata, *(m for a in get_args(field.annotation) for m in getattr(a, "__metadata__", ()))]
    return [getattr(part, at) for part in parts if isinstance(part, kind)]


def _number(value: float) -> str:
    return f"{value:g}" if value < 1_000_000 else str(value)


def _written(value: object) -> str:
    """A default as a person would write it into the file."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case int() | float():
            return _number(value)
        case Enum():
            return f'"{value.value}"'
        case str() | Path():
            return f'"{value}"'
        case ():
            return "none"
        case tuple() if len(value) == 7:
            return "every day"
        case _:
            raise AssertionError(f"a default that this page cannot write yet: {value!r}")
