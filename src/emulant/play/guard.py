"""Who may ask: only the page that was opened from the address that the terminal has shown.

A server on this machine can be reached by every web page that its user visits. What keeps them out: a token in the
address, which they do not know; the header Host, which tells a foreign name that was pointed to 127.0.0.1; Origin and
Sec-Fetch-Site, by which a browser tells who asks; and no header that lets other origins read an answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

LOCAL = ("127.0.0.1", "localhost")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """192 random bits, fit for an address."""
    return secrets.token_urlsafe(24)


class Guard:
    """An ASGI application before another one: refuses whoever is not the page, and puts `HEADERS` on every answer."""

    def __init__(self, app: Any, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(f"{name}:{port}" for name in LOCAL)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def headed(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "http" and not self.refusal(scope):
            await self.app(scope, receive, headed)
        elif scope["type"] == "http":
            refused = PlainTextResponse(f"emulant play: {self.refusal(scope)}\n", status_code=403)
            await refused(scope, receive, headed)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    def refusal(self, scope: Any) -> str:
        """Why a request is not answered; empty if it is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return "this server answers to 127.0.0.1 only."
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return "another page has no business here."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "another page has no business here."
        first = scope["path"].removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(first.encode(), self.token.encode()):
            return "the address lacks its token. Open the one that the terminal shows."
        return ""
