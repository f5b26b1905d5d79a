"""The address of a server: what is allowed in it, and whether it is this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from ...errors import InvalidInput, quoted

_ENDPOINTS = ("/chat/completions", "/completions", "/models", "/responses")


def normalise_base_url(address: str) -> str:
    """The base address that requests are made below: `http://127.0.0.1:8000` becomes `http://127.0.0.1:8000/v1`.

    An address without a path gets /v1, which every OpenAI-compatible server has; one that was copied with its endpoint
    loses it. InvalidInput for anything that is not http(s), and, without repeating the address, for one that holds a
    user, a password or a query: keys have no place there.
    """
    parts = _split(address.strip())
    if parts is None or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidInput(
            "The address cannot be used: it holds a user, a password, a query (?…) or characters that no address has. "
            "Give the plain base address, such as http://127.0.0.1:8000/v1, and the key in an environment variable."
        )
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"The address {quoted(address.strip())} does not begin with http:// or https:// and a host. "
            "A local server's looks like http://127.0.0.1:8000/v1."
        )
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path or '/v1'}"


def is_this_machine(address: str) -> bool:
    """Whether the address is a loopback one, which no proxy can reach for us; what is no address is not."""
    try:
        host = (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(address: str) -> SplitResult | None:
    if not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts
