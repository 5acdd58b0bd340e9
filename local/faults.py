"""Faults on request, in the words of Google's storage-testbench, for every service of the local cloud that speaks REST.

POST /retry_test {"instructions": {"storage.objects.insert": ["return-503", "return-reset-connection"]}} ─► {"id": …}
a request of that method with the header `x-retry-test-id: …` takes the next instruction, fails so, and the one after
the last succeeds; GET /retry_test/ID tells what is left, DELETE ends it.

return-503                           refused before anything happened (any code from 400 on)
return-503-after-effect              done, but the answer is the refusal
return-reset-connection              the connection is reset before anything happened
return-reset-connection-after-effect done, but the answer is lost

`-after-effect` is ours, and so is `"everyone": true`: then requests without the header take instructions too, because
what is to be tested cannot always be made to send one. Faults live as long as the process.
"""

import json
import re
import socket
import struct
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from local.errors import CloudError, Status, status_of_http
from local.loopback import is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
NameOf = Callable[[str, str], str | None]

HANDED_ON = "local.instruction"  # where in the scope an application finds an instruction that is its own to carry out
_RETURN = re.compile(r"return-(?:(?P<code>[45]\d\d)|reset-connection)(?P<after>-after-effect)?")
_CONTROL = re.compile(r"/retry_tests?(?:/(?P<id>[0-9a-f]{32}))?")
_WANTED = b"x-retry-test-id"
_BODY_LIMIT_BYTES = 100_000
_LINGER_NOT = struct.pack("ii", 1, 0)  # close by a reset


@dataclass(frozen=True)
class Script:
    """What is left to go wrong; `everyone` does not need the header."""

    id: str
    instructions: dict[str, list[str]]
    everyone: bool

    def told(self) -> dict[str, Any]:
        left = {method: list(each) for method, each in self.instructions.items()}
        return {"id": self.id, "instructions": left, "completed": not any(left.values()), "transport": "HTTP"}

    def take(self, method: str) -> str | None:
        left = self.instructions.get(method)
        return left.pop(0) if left else None


class Faults:
    """An ASGI application around another; `name_of` tells a request's method by its verb and raw path.

    `handed_on` are instructions that the inner application carries out; `with_reasons` adds the older form's reasons.
    """

    def __init__(
        self, app: App, name_of: NameOf, handed_on: re.Pattern[str] | None = None, with_reasons: bool = False
    ) -> None:
        self._app = app
        self._name_of = name_of
        self._handed_on = handed_on
        self._with_reasons = with_reasons
        self._scripts: dict[str, Script] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (match := _CONTROL.fullmatch(scope["path"])) is not None:
            await self._controlled(match["id"], scope, receive, send)
        elif self._scripts or _header(scope, _WANTED):
            await self._scripted(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _scripted(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            instruction = self._taken(scope)
        except CloudError as error:
            return await _answer(send, error.http_code, error.rest_body())
        fault = _RETURN.fullmatch(instruction or "")
        if fault is None:
            return await self._app({**scope, HANDED_ON: instruction}, receive, send)
        if fault["after"]:
            await self._app(scope, receive, _unsent)
        if fault["code"] is None:
            return await _reset(receive, send)
        refusal = self._refusal(int(fault["code"]))
        return await _answer(send, refusal.http_code, refusal.rest_body())

    def _taken(self, scope: Scope) -> str | None:
        """The instruction for this request; NOT_FOUND for a header that names no script."""
        method = self._name_of(scope["method"], scope["raw_path"].decode("latin-1"))
        wanted = _header(scope, _WANTED)
        scripts = [self._script(wanted)] if wanted else [each for each in self._scripts.values() if each.everyone]
        taken = (script.take(method) for script in scripts if method is not None)
        return next((instruction for instruction in taken if instruction is not None), None)

    def _refusal(self, code: int) -> CloudError:
        reason = "rateLimitExceeded" if code == Status.RESOURCE_EXHAUSTED.http_code else "backendError"
        message = f"This request was asked to fail with {code}."
        return CloudError(status_of_http(code), message, http_code=code, reason=reason if self._with_reasons else None)

    async def _controlled(self, identity: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not is_loopback(_header(scope, b"host")):
                raise CloudError(Status.PERMISSION_DENIED, "Only requests to this machine's loopback are answered.")
            told = self._control(scope["method"], identity, await _body(receive))
        except CloudError as error:
            return await _answer(send, error.http_code, error.rest_body())
        return await _answer(send, 200, json.dumps(told).encode())

    def _control(self, method: str, identity: str | None, body: bytes) -> dict[str, Any]:
        match method, identity:
            case "POST", None:
                script = self._written(body)
                self._scripts[script.id] = script
                return script.told()
            case "GET", None:
                return {"retry_test": [script.told() for script in self._scripts.values()]}
            case "GET", str(identity):
                return self._script(identity).told()
            case "DELETE", str(identity):
                return self._scripts.pop(self._script(identity).id).told()
            case _:
                raise CloudError(Status.UNIMPLEMENTED, f"{method} on scripts of faults")

    def _script(self, identity: str) -> Script:
        if identity not in self._scripts:
            raise CloudError(Status.NOT_FOUND, f"There is no script of faults {identity[:100]}.")
        return self._scripts[identity]

    def _written(self, body: bytes) -> Script:
        """A new script; INVALID_ARGUMENT for anything that would never happen."""
        try:
            given = json.loads(body)
            instructions = {
                str(method): [str(each) for each in wanted] for method, wanted in given["instructions"].items()
            }
            everyone = given.get("everyone", False) is True
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            raise CloudError(Status.INVALID_ARGUMENT, "A script of faults has instructions by method.") from error
        for each in [each for wanted in instructions.values() for each in wanted]:
            if not _RETURN.fullmatch(each) and not (self._handed_on and self._handed_on.fullmatch(each)):
                raise CloudError(Status.INVALID_ARGUMENT, f"Unknown instruction: {each[:100]}")
        return Script(uuid.uuid4().hex, instructions, everyone)


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


async def _body(receive: Receive) -> bytes:
    received, more = b"", True
    while more:
        message = await receive()
        received += message.get("body", b"")
        more = message.get("more_body", False)
        if len(received) > _BODY_LIMIT_BYTES:
            raise CloudError(Status.INVALID_ARGUMENT, "The script of faults is too long.")
    return received


async def _answer(send: Send, code: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _unsent(_message: MutableMapping[str, Any]) -> None:
    """An answer that is lost."""


async def _reset(receive: Receive, send: Send) -> None:
    # ASGI has no word for it, so this reaches behind it, for the connection of uvicorn's cycle.
    transport = send.__self__.transport  # type: ignore[attr-defined]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
