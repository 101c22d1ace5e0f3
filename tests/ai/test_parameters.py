"""Servers that refuse a parameter are asked again without it, and never with it again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from ai.server import ModelServer, Reply
from tidings.ai.base import AIError
from tidings.ai.openai import OpenAIModel

Asked = dict[str, Any]
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "assistant", "content": "Welcome."},
    {"role": "user", "content": "When?"},
    {"role": "user", "content": "And where?"},
]


def openai(param: str, message: str, code: str | None = "unsupported_parameter") -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return refusal({"error": error})


def refusal(body: Any, status: int = 400) -> Reply:
    return Reply(body=json.dumps(body).encode(), status=status)


def bare(message: str, status: int = 400) -> Reply:
    """An error of vLLM before it had OpenAI's form."""
    return refusal(
        {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": status}, status
    )


def extra(name: str) -> Reply:
    return refusal(
        {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]}, 422
    )


def roles_of(asked: Asked) -> list[str]:
    return [message["role"] for message in asked["messages"]]


OLD = openai(
    "max_tokens",
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
)
DEFAULT_ONLY = openai(
    "temperature",
    "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.",
    "unsupported_value",
)
AZURE = refusal(
    {
        "error": {
            "code": "unsupported_parameter",
            "type": "invalid_request_error",
            "param": "max_tokens",
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "callstack": "run()\nmax_completion_tokens temperature",
        }
    }
)
NO_SYSTEM = "System role not supported"
ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."


def wants(name: str, reply: Reply) -> Callable[[Asked], str | Reply]:
    return lambda asked: reply if name in asked else "Fine."


def wants_roles(reply: Reply) -> Callable[[Asked], str | Reply]:
    return lambda asked: "Fine." if roles_of(asked) == ["user", "assistant", "user"] else reply


def strict(asked: Asked) -> str | Reply:
    """A reasoning model: everything is refused, one after another."""
    if "max_tokens" in asked:
        return OLD
    return (
        DEFAULT_ONLY
        if "temperature" in asked
        else wants_roles(
            openai(
                "messages[0].role", "Unsupported value: 'messages[0].role' does not support 'system' with this model."
            )
        )(asked)
    )


def takes_no_limit(asked: Asked) -> str | Reply:
    for name in ("max_tokens", "max_completion_tokens"):
        if name in asked:
            return bare(f"Unrecognized request argument supplied: {name}")
    return "Fine."


@pytest.mark.parametrize(
    ("server", "last", "refusals"),
    [
        pytest.param(wants("max_tokens", OLD), {"max_completion_tokens": 50, "temperature": 0.3}, 1, id="OpenAI"),
        pytest.param(wants("max_tokens", AZURE), {"max_completion_tokens": 50, "temperature": 0.3}, 1, id="Azure"),
        pytest.param(wants("temperature", DEFAULT_ONLY), {"max_tokens": 50}, 1, id="only the default"),
        pytest.param(
            wants("temperature", openai("temperature", "`temperature` is deprecated for this model.", None)),
            {"max_tokens": 50}, 1, id="deprecated",
        ),
        pytest.param(
            wants("temperature", refusal({"error": {"message": "temperature: Extra inputs are not permitted"}})),
            {"max_tokens": 50}, 1, id="Anthropic's form",
        ),
        pytest.param(wants("temperature", extra("temperature")), {"max_tokens": 50}, 1, id="FastAPI's form"),
        pytest.param(
            wants("max_tokens", bare("[{'type': 'extra_forbidden', 'loc': ('body', 'max_tokens'), 'input': 50}]")),
            {"max_completion_tokens": 50, "temperature": 0.3}, 1, id="vLLM's list as text",
        ),
        pytest.param(
            wants("temperature", Reply(body=b"property 'temperature' is unsupported", status=400)),
            {"max_tokens": 50}, 1, id="no JSON",
        ),
        pytest.param(
            wants("temperature", bare("temperature must be 1, not 0.3", 422)), {"max_tokens": 50}, 1, id="value",
        ),
        pytest.param(takes_no_limit, {"temperature": 0.3}, 2, id="no limit at all"),
        pytest.param(wants_roles(bare(NO_SYSTEM)), {"max_tokens": 50, "temperature": 0.3}, 1, id="no system role"),
        pytest.param(wants_roles(bare(ALTERNATE)), {"max_tokens": 50, "temperature": 0.3}, 1, id="alternating roles"),
        pytest.param(
            wants_roles(refusal({"error": {"code": 500, "message": f"Jinja Exception: {NO_SYSTEM}"}}, 500)),
            {"max_tokens": 50, "temperature": 0.3}, 1, id="llama.cpp",
        ),
        pytest.param(strict, {"max_completion_tokens": 50}, 3, id="all of it"),
    ],
)  # fmt: skip
async def test_a_server_that_refuses_a_parameter_is_asked_without_it_once_and_for_all(
    server: Callable[[Asked], str | Reply], last: dict[str, Any], refusals: int
) -> None:
    async with ModelServer(server) as asked:
        model = OpenAIModel("sk-key", asked.url, "gpt-test")
        with capture_logs() as logs:
            for _ in range(3):
                answer = await model.complete(MESSAGES, max_tokens=50, temperature=0.3)
                assert answer.text == "Fine."
        await model.close()
    assert len(asked.requests) == refusals + 3
    body = asked.requests[-1].body
    assert {name: value for name, value in body.items() if name not in ("model", "messages")} == last
    said = "\n".join(message["content"] for message in body["messages"])
    assert all(message["content"] in said for message in MESSAGES)
    told = [entry for entry in logs if "parameters" in entry]
    assert len(told) == 1
    assert (told[0]["model"], len(told[0]["parameters"])) == ("gpt-test", refusals)


async def test_what_one_model_refuses_others_of_the_server_are_still_asked_with() -> None:
    async with ModelServer(
        lambda asked: OLD if asked["model"] == "o-1" and "max_tokens" in asked else "Fine."
    ) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        for name in ("o-1", None, "o-1"):
            await model.complete(MESSAGES, max_tokens=50, model=name)
        await model.close()
    assert ["max_tokens" in request.body for request in server.requests] == [True, False, True, False]


async def test_a_value_that_is_refused_says_nothing_about_other_values() -> None:
    def answer(asked: Asked) -> str | Reply:
        return bare("temperature must be between 0 and 1") if asked.get("temperature", 0) > 1 else "Fine."

    async with ModelServer(answer) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        for value in (1.5, 0.5, 1.5):
            await model.complete(MESSAGES, max_tokens=50, temperature=value)
        await model.close()
    assert [request.body.get("temperature") for request in server.requests] == [1.5, None, 0.5, None]


async def test_many_questions_at_once_learn_it_once() -> None:
    async with ModelServer(wants("max_tokens", OLD)) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        with capture_logs() as logs:
            await asyncio.gather(*(model.complete(MESSAGES, max_tokens=50) for _ in range(8)))
        await model.close()
    assert len([entry for entry in logs if "parameters" in entry]) == 1


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            bare("This model's maximum context length is 512 tokens, max_tokens is 50. Please reduce the length."),
            "400",
        ),
        (openai("model", "The model `gpt-test` does not exist", "model_not_found"), "400"),
        (bare("Invalid 'messages[3].content': string too long"), "400"),
        (refusal({"error": {"message": "temperature of the GPU too high"}}, 500), "500"),
        (refusal({"error": {"message": "max_tokens: slow down"}}, 429), "no more questions"),
        (refusal({"error": {"message": "max_tokens"}}, 401), "key"),
        (bare(f"{OLD.text} max_tokens temperature max_completion_tokens not supported"), "400"),
        (bare(NO_SYSTEM), "System role"),
    ],
)
async def test_other_refusals_and_endless_ones_are_final(reply: Reply, sentence: str) -> None:
    async with ModelServer(lambda _: reply) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        with pytest.raises(AIError, match=sentence):
            await model.complete(MESSAGES, max_tokens=50, temperature=0.3)
        await model.close()
    assert 1 <= len(server.requests) <= 4


async def test_what_did_not_help_is_not_remembered() -> None:
    replies = iter([bare("temperature is unsupported"), bare("go away"), "Fine."])
    async with ModelServer(lambda _: next(replies)) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        with pytest.raises(AIError):
            await model.complete(MESSAGES, max_tokens=50, temperature=0.3)
        await model.complete(MESSAGES, max_tokens=50, temperature=0.3)
        await model.close()
    assert "temperature" in server.requests[-1].body
