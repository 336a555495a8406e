"""Where in a record a value lies."""

from __future__ import annotations

from typing import Any


def at(value: object, path: str) -> Any:
    """What lies at a dotted path, or None.

    A field whose own name is all the rest of the path comes first, so names may hold dots. In a
    list a step is a position, from 0.
    """
    if not path:
        return None
    while path:
        if isinstance(value, dict) and path in value:
            return value[path]
        step, _, path = path.partition(".")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
