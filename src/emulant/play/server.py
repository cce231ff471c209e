"""The server of the page: its files, one description, and answers to messages."""

from __future__ import annotations

import socket
import sys
import traceback
import webbrowser
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulant.dataset.tables import Table
from emulant.errors import EmulantError, UsageError
from emulant.play.guard import LOCAL, Guard, new_token
from emulant.play.parts import Action, Models, Play, described
from emulant.play.wire import encoded

LARGEST = 4 << 20
"""Bytes of a message."""
PAGE = "index.html"
SCRIPT = "system.js"
"""The name by which the page asks for the script of the system."""
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class Envelope(Table):
    """A message as it comes."""

    model: str
    values: dict[str, Any]


def serve(play: Play, models: Models, *, run: str, port: int, tell: Callable[[str], None], browse: bool) -> None:
    """Serve the page until it is interrupted.

    Args:
        run: What the page calls the run.
        port: 0: any that is free.
        tell: Is given the address, token and all, as soon as it can be opened.
        browse: Open it in the user's browser, too.

    Raises:
        UsageError: The port is taken.
    """
    with _listening(port) as listener:
        port, token = listener.getsockname()[1], new_token()
        app = application(play, models, run=run, token=token, port=port)
        address = f"http://{LOCAL[0]}:{port}/{token}/"
        tell(address)
        if browse:
            webbrowser.open(address)
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,  # who ends the server does not wait for a simulation
        )
        try:
            uvicorn.Server(settings).run(sockets=[listener])
        except KeyboardInterrupt:  # how a server ends
            return


def application(play: Play, models: Models, *, run: str, token: str, port: int) -> Guard:
    """The page as an ASGI application that answers below `/TOKEN/` on 127.0.0.1:port."""
    scripts = {path.name: path for path in _own_files()} | {SCRIPT: play.script}
    lines = {slow: CapacityLimiter(1) for slow in (False, True)}

    async def described_(request: Request) -> Response:
        return JSONResponse(described(play, models, run))

    async def file(request: Request) -> Response:
        path = scripts.get(request.path_params["name"] or PAGE)
        if path is None:
            return _refused(404, "there is no such file.")
        return Response(path.read_bytes(), media_type=TYPES[path.suffix])

    async def asked(request: Request) -> Response:
        name = request.path_params["action"]
        if name not in play.actions:
            return _refused(404, f"there is no action `{name}`.", f"There are {', '.join(play.actions)}.")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _refused(415, "the message is not application/json.")
        content = await _body(request)
        if content is None:
            return _refused(413, f"the message is larger than {LARGEST >> 20} MiB.")
        action = play.actions[name]  # one at a time: models and kernels are not made for two threads at once
        line = lines[action.slow]
        return await to_thread.run_sync(_answered, action, models, content, limiter=line, abandon_on_cancel=True)

    routes = [
        Route(f"/{token}/play.json", described_),
        Route(f"/{token}/ask/{{action}}", asked, methods=["POST"]),
        Route(f"/{token}/{{name:path}}", file),
    ]
    return Guard(Starlette(routes=routes), token, port)


def _answered(action: Action, models: Models, content: bytes) -> Response:
    try:
        asked = Envelope.model_validate_json(content)
        message = action.message.model_validate(asked.values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "message"
        return _refused(400, f"{where}: {first['msg'].lower()}.", 'A message is {"model": NAME, "values": {...}}.')
    if asked.model not in models.kinds:
        return _refused(400, f"there is no model `{asked.model}`.", f"There are {', '.join(models.kinds)}.")
    try:
        answer = action.answer(models.get(asked.model), message)
        return Response(encoded(answer), media_type="application/octet-stream")
    except EmulantError as error:  # well asked and answered by words: no fault that a browser should complain of
        return _refused(200, error.what, error.mend)
    except Exception as error:  # the page goes on; the terminal shows where it was
        traceback.print_exc(file=sys.stderr)
        return _refused(500, f"internal error: {type(error).__name__}: {error}.", "The terminal shows where.")


def _refused(status: int, what: str, mend: str = "") -> Response:
    return JSONResponse({"what": what, "mend": mend}, status)


async def _body(request: Request) -> bytes | None:
    """What was sent; None if it is too much."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            return None
    return content


def _own_files() -> list[Path]:
    return [Path(str(entry)) for entry in files("emulant.play").joinpath("page").iterdir()]


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOCAL[0], port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"--port {port}: cannot be listened to: {error}.", "Name another one, or 0 for any that is free."
        ) from error
    return listener
