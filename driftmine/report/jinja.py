"""The one way in which pages are made of templates: escaped, and with no name left undefined."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

_HERE = "driftmine.report"


def environment(package: str = _HERE) -> Environment:
    """Templates of `package`, which may include those that lie here, such as look.css."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in dict.fromkeys((package, _HERE))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
