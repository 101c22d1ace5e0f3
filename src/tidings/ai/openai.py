"""Any server that speaks OpenAI's Chat Completions: one low class that asks."""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidings.ai.base import AIError, Completion
from tidings.ai.completions import read
from tidings.ai.embeddings import Embeddings, read_embeddings
from tidings.ai.parameters import MOST, ParameterRefused, Unsupported, spoken_to, unsupported_in
from tidings.log import get_logger

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = get_logger(__name__)

BASE_URL = "https://api.openai.com/v1"
_MAX_BYTES = 2 * 1024 * 1024
_VECTOR_BYTES = 256 * 1024
_EXCERPT = 200
_RETRYABLE = frozenset({408, 409, 425, 429})


class OpenAIModel:
    """A model behind an OpenAI-compatible server.

    `timeout` is seconds from connecting to the last byte of the answer, everything included. Nothing is tried twice,
    except without a parameter that the server refuses: that it does is remembered by model. `base_url` ends with the
    version, as in ``https://api.openai.com/v1``, which it is when None. Redirects are not followed. Any number of
    tasks may share one model; its sockets open with the first question.
    """

    def __init__(self, api_key: str, base_url: str | None, model: str, timeout: float = 10.0) -> None:
        self.model = model
        self._api_key = api_key
        self._base_url = base_url or BASE_URL
        self._timeout = timeout
        self._host = _host(self._base_url)
        self._client: AsyncOpenAI | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._unsupported: dict[str, frozenset[Unsupported]] = {}

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        model: str | None = None,
        temperature: float | None = None,
        speakers: Iterable[str] = (),
    ) -> Completion:
        """The model's answer to `messages`, as `answer_text` leaves it; `model` None is this object's own.

        `speakers` are the names under which the model may announce itself.

        Raises AIError for everything else: retryable when the server cannot be reached, is too slow, too busy or
        broken; final when it refuses the key, the model or the question, or its answer has no use.
        """
        name = model or self.model
        payload = {
            "model": name,
            "messages": [dict(message) for message in messages],
            **self._limit(max_tokens),
            **({} if temperature is None else {"temperature": temperature}),
        }
        body, milliseconds = await self._ask(lambda client: client.chat.completions, payload, _MAX_BYTES)
        return read(body, self._host, name, milliseconds, speakers)

    async def embed(self, texts: Sequence[str], *, model: str) -> Embeddings:
        """A vector for each text, in their order, by an embedding model of the same server. Raises AIError."""
        payload = {"model": model, "input": list(texts), "encoding_format": "float"}
        limit = _VECTOR_BYTES * max(len(texts), 1)
        body, milliseconds = await self._ask(lambda client: client.embeddings, payload, limit)
        return read_embeddings(body, self._host, model, len(texts), milliseconds)

    async def close(self) -> None:
        """Drops every connection. Questions under way end with AIError."""
        self._closed = True
        async with self._opening:
            if self._client is not None:
                await self._client.close()

    async def _ask(
        self, endpoint: Callable[[AsyncOpenAI], Any], payload: Mapping[str, Any], limit: int
    ) -> tuple[bytes, int]:
        """The bytes of an answer, and how many milliseconds it took."""
        if self._closed:
            raise AIError(f"{self._host} was not asked: Tidings is stopping", retryable=True)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._ask_in_its_words(endpoint, payload, limit)
        except TimeoutError:
            raise AIError(
                f"{self._host} did not answer in time; an answer has {self._timeout:g} s", retryable=True
            ) from None
        return body, round((time.monotonic() - started) * 1000)

    async def _ask_in_its_words(
        self, endpoint: Callable[[AsyncOpenAI], Any], payload: Mapping[str, Any], limit: int
    ) -> bytes:
        """Asks without what the server is known to refuse for this model, and without what it refuses now."""
        model = str(payload["model"])
        left_out = self._unsupported.get(model, frozenset())
        while True:
            try:
                body = await self._post(endpoint, spoken_to(payload, left_out), limit)
                break
            except ParameterRefused as refused:
                if refused.unsupported in left_out or len(left_out) >= MOST:
                    raise
                left_out |= {refused.unsupported}
        known = self._unsupported.get(model, frozenset())
        if learned := left_out - known:
            self._unsupported[model] = known | learned
            log.warning(
                "a server refuses parameters of a question; it is asked without them from now on",
                server=self._host,
                model=model,
                parameters=sorted(one.parameter for one in learned),
            )
        return body

    async def _post(self, endpoint: Callable[[AsyncOpenAI], Any], payload: Mapping[str, Any], limit: int) -> bytes:
        client = await self._opened()
        import openai  # loaded by now

        # The library's own reading of an answer takes any shape and any length; both are checked here.
        create = endpoint(client).with_streaming_response.create
        name = str(payload["model"])
        try:
            async with create(**payload) as response:
                body = bytearray()
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise AIError(f"{self._host} answered with too many bytes", retryable=False)
                return bytes(body)
        # The causes are left out of the traceback: they quote the server, which may quote the key.
        except openai.APIStatusError as error:
            refusal = self._refused(name, error.status_code, error.body)
            if unsupported := unsupported_in(error.status_code, error.body, payload):
                refusal = ParameterRefused(str(refusal), unsupported)
            raise refusal from None
        except openai.APITimeoutError:
            raise TimeoutError from None
        except AIError:
            raise
        except asyncio.CancelledError:
            raise
        except openai.APIConnectionError as error:
            raise AIError(f"the connection to {self._host} failed{_cause(error)}", retryable=True) from None
        except Exception as error:  # whatever else the library and its transport raise: none of it may stop a message
            kind = (
                "had not answered when Tidings stopped" if self._closed else f"gave a broken answer: {_name(error)}"
            )
            raise AIError(f"{self._host} {kind}", retryable=True) from None

    async def _opened(self) -> AsyncOpenAI:
        async with self._opening:
            if self._closed:
                raise AIError(f"{self._host} was not asked: Tidings is stopping", retryable=True)
            if self._client is None:
                try:
                    # In a thread: loading the package takes most of a second, and other messages are due.
                    self._client = await asyncio.to_thread(self._open)
                except Exception as error:
                    raise AIError(
                        f"{self._host} cannot be asked: check OPENAI_BASE_URL and OPENAI_API_KEY ({_name(error)})",
                        retryable=False,
                    ) from None
            return self._client

    def _open(self) -> AsyncOpenAI:
        openai = importlib.import_module("openai")
        client: AsyncOpenAI = openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            timeout=self._timeout,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=self._timeout),
        )
        return client

    def _limit(self, max_tokens: int) -> dict[str, int]:
        """OpenAI's newer models take only the new name of the limit, other servers often only the old one."""
        return {"max_completion_tokens" if self._host.endswith("openai.com") else "max_tokens": max_tokens}

    def _refused(self, model: str, status: int, body: object) -> AIError:
        match status:
            case 401:
                sentence = "does not accept the key; check OPENAI_API_KEY"
            case 403:
                sentence = f"does not let this key use the model {model}"
            case 404:
                sentence = f"has no model {model} at this address; check the model's name and OPENAI_BASE_URL"
            case 429:
                sentence = "takes no more questions for now, or the account has no credit left (429)"
            case _ if 300 <= status < 400:
                sentence = f"has moved ({status}); check OPENAI_BASE_URL"
            case _ if status >= 500:
                sentence = f"is failing ({status}){self._excerpt(body)}"
            case _:
                sentence = f"refused the question ({status}){self._excerpt(body)}"
        return AIError(f"{self._host} {sentence}", retryable=status in _RETRYABLE or status >= 500)

    def _excerpt(self, body: object) -> str:
        """What the server says about an error, on one line and without the key."""
        error = body.get("error", body) if isinstance(body, dict) else body
        message = error.get("message") if isinstance(error, dict) else error
        if not isinstance(message, str):
            return ""
        line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
        return f": {line.replace(self._api_key, '***')[:_EXCERPT]}" if self._api_key and line else ""


def _cause(error: BaseException) -> str:
    """The innermost reason in the operating system's words; others may quote the URL."""
    reason = ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            # asyncio writes the address into strerror; name lookups have errors of their own, below zero.
            reason = f": {os.strerror(cause.errno) if cause.errno > 0 else cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return reason


def _name(error: BaseException) -> str:
    return type(error).__name__


def _host(url: str) -> str:
    """Host and port of a URL; its path and user may hold a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the AI server"
    return f"{host}:{port}" if host and port else host or "the AI server"
