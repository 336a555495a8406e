"""Which labelled rows belong together, so that none is learned from while its like is scored."""

from __future__ import annotations

from collections.abc import Sequence


def linked(names: Sequence[Sequence[str]]) -> list[str]:
    """The group of each row, of the one or more names that it goes by.

    Rows that share a name are one group, and so are those that others link: a row of a minimal
    set and of a conversation makes one of both. The group is known by its first name in order.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while (above := leader.setdefault(name, name)) != name:
            name = above
        return name

    for row in names:
        first, *others = sorted(find(name) for name in row)
        for other in others:
            leader[other] = first
    return [find(row[0]) for row in names]
