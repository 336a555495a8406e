"""Whether an endpoint may be talked to, and with which key.

No message here quotes a setting that may hold a secret by mistake: a key that was pasted in
place of its variable's name, or a password in a URL.
"""

from __future__ import annotations

import ipaddress
import os
import re

from endpoint.options import EndpointOptions
from warehouse.errors import SettingsError

# No user, no query: what identifies a caller goes into the key's variable.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
    r"(?P<path>(?:/[\w.~%-]+)*)/?"
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def address(options: EndpointOptions) -> str:
    """The URL that chats are posted to. Raises SettingsError."""
    found = _URL.fullmatch(options.base_url)
    if found is None:
        raise SettingsError(
            f"base_url of {options.called} is no plain URL such as https://host/v1 (it is not "
            "shown here: it may hold a password). Write scheme, host, port and path only."
        )
    if not options.model:
        raise SettingsError(f"base_url of {options.called} has no model beside it. Set `model`.")
    if not options.store:
        raise SettingsError(f"No `store` of {options.called}: without it no budget can be kept.")
    if options.max_cost is not None and not (options.price_in or options.price_out):
        raise SettingsError(f"max_cost of {options.called} needs price_in or price_out beside it.")
    if found["scheme"] == "http" and not (options.allow_http or is_loopback(found["host"])):
        raise SettingsError(
            f"base_url of {options.called}: texts and key would go to {found['host']} unencrypted. "
            "Use https, or set `allow_http = true` where the network is yours."
        )
    return options.base_url.rstrip("/") + "/chat/completions"


def is_loopback(host: str) -> bool:
    """Whether a host's name says that it is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def headers(options: EndpointOptions) -> dict[str, str]:
    """The header that carries the key; none where no variable is named. Raises SettingsError."""
    name = options.api_key_env
    if not name:
        return {}
    if not _VARIABLE.fullmatch(name):
        raise SettingsError(
            f"api_key_env of {options.called} must be the name of an environment variable, in "
            "capitals; it is not shown here, since it may be the key itself. If it is, replace "
            "that key."
        )
    key = os.environ.get(name, "").strip()
    if not key:
        raise SettingsError(
            f"The environment variable {name} holds no key for {options.called}. Set it."
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"The key in {name} holds characters that no key has. Set it again.")
    return {"Authorization": f"Bearer {key}"}
