"""Builds requests to other origins than that of the base URL, which ``allow_absolute_urls`` permits.

What the client adds to each request was meant for the base URL, and is often a secret. So such a request
carries what a redirect there would, and what it was given itself.
"""

from collections.abc import Mapping
from typing import Any

import httpx

from typed_async_client.httpx_client.cookies import RequestCookies
from typed_async_client.httpx_client.redirects import extensions_across, headers_across
from typed_async_client.policies.redirect import OriginChange, RedirectPolicy

__all__ = ["request_elsewhere"]

_OF_CONSTRUCTOR = ("content", "data", "files", "json", "params")
"""Options of a request that httpx's constructor takes as they are."""


def request_elsewhere(
    client: httpx.AsyncClient,
    policy: RedirectPolicy,
    method: str,
    url: httpx.URL,
    options: Mapping[str, Any],
) -> httpx.Request:
    """Build a request without the headers, the cookies and the parameters of the base URL.

    Args:
        client: the client.
        policy: says which headers may be carried.
        method: the method.
        url: the URL, at another origin.
        options: the options of httpx's ``build_request()``.
    """
    headers = headers_across(policy, client.headers, OriginChange.OTHER, has_body=False)
    headers.update(options.get("headers"))
    extensions = {**(options.get("extensions") or {})}
    timeout = options.get("timeout", httpx.USE_CLIENT_DEFAULT)
    if "timeout" not in extensions:
        is_default = timeout is httpx.USE_CLIENT_DEFAULT
        extensions["timeout"] = (client.timeout if is_default else httpx.Timeout(timeout)).as_dict()
    given = options.get("cookies")
    return httpx.Request(
        method,
        url,
        headers=headers,
        cookies=RequestCookies(
            client.cookies.jar,
            change=OriginChange.OTHER,
            own=httpx.Cookies(given).jar if given else None,
        ),
        extensions=extensions_across(extensions, OriginChange.OTHER),
        **{name: options[name] for name in _OF_CONSTRUCTOR if name in options},
    )
