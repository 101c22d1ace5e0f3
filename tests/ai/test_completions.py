"""What compatible servers answer, in all its shapes, over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai.server import ModelServer, Reply
from tidings.ai.base import AIError, Completion
from tidings.ai.openai import OpenAIModel

HELLO = "We open at 9 am."


async def answered(reply: Reply) -> Completion:
    async with ModelServer(lambda _: reply) as server:
        model = OpenAIModel("sk-key", server.url, "gpt-test")
        try:
            return await model.complete([{"role": "user", "content": "When?"}], max_tokens=50, speakers=["Mia"])
        finally:
            await model.close()


def body(**answer: Any) -> Reply:
    return Reply(body=json.dumps(answer).encode())


def stream(*events: dict[str, Any], done: bool = True) -> Reply:
    lines = [": keep-alive\n\n", *(f"data: {json.dumps(event)}\n\n" for event in events)]
    return Reply(body="".join([*lines, "data: [DONE]\n\n" if done else ""]).encode())


def delta(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(message={"content": [{"type": "text", "text": HELLO}]}), id="parts"),
        pytest.param(
            Reply(message={"content": [{"type": "text", "text": "We open "}, {"type": "text", "text": "at 9 am."}]}),
            id="two parts",
        ),
        pytest.param(Reply(message={"content": [{"type": "output_text", "text": HELLO}]}), id="output_text"),
        pytest.param(Reply(message={"content": [{"text": HELLO}]}), id="part without type"),
        pytest.param(Reply(message={"content": [HELLO]}), id="strings"),
        pytest.param(Reply(message={"content": {"type": "text", "text": HELLO}}), id="one part"),
        pytest.param(Reply(message={"content": [{"type": "text", "text": {"value": HELLO}}]}), id="value in a part"),
        pytest.param(
            Reply(
                message={
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "They ask."}]},
                        {"type": "text", "text": HELLO},
                    ]
                }
            ),
            id="thinking part",
        ),
        pytest.param(
            Reply(message={"content": [{"type": "reasoning", "text": "They ask."}, {"type": "text", "text": HELLO}]}),
            id="reasoning part",
        ),
        pytest.param(Reply(HELLO, message={"reasoning_content": "They ask."}), id="reasoning_content"),
        pytest.param(Reply(HELLO, message={"reasoning": "They ask.", "refusal": None, "tool_calls": []}), id="nulls"),
        pytest.param(Reply(f"<think>They ask.</think>{HELLO}"), id="thoughts in the text"),
        pytest.param(Reply(f"Mia: {HELLO}"), id="name of the speaker"),
        pytest.param(body(choices=[{"text": HELLO, "finish_reason": "stop"}]), id="older completion"),
        pytest.param(body(choices=[{"message": {"content": None}, "text": HELLO}]), id="text beside null"),
        pytest.param(body(model="m", message={"role": "assistant", "content": HELLO}, done=True), id="Ollama's own"),
        pytest.param(
            body(
                output=[
                    {"type": "reasoning", "summary": []},
                    {"type": "message", "content": [{"type": "output_text", "text": HELLO, "annotations": []}]},
                ]
            ),
            id="Responses",
        ),
        pytest.param(stream(delta("We open "), delta("at 9 am."), delta(None, "stop")), id="stream"),
        pytest.param(
            stream(delta(None, reasoning_content="They ask."), delta(HELLO), {"choices": [], "usage": {}}),
            id="stream with reasoning",
        ),
        pytest.param(stream(delta(HELLO), done=False), id="stream without an end"),
    ],
)
async def test_the_answer_is_found_in_whatever_shape_a_server_gives_it(reply: Reply) -> None:
    completion = await answered(reply)
    assert (completion.text, completion.cut) == (HELLO, False)


async def test_what_a_stream_cost_is_known() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    completion = await answered(stream({"model": "m-1", **delta(HELLO)}, {"choices": [], "usage": usage}))
    assert (completion.usage.model, completion.usage.prompt_tokens, completion.usage.completion_tokens) == (
        "m-1",
        7,
        3,
    )


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(message={"content": [{"type": "refusal", "refusal": "No."}]}), "declined to answer"),
        (Reply(message={"content": []}), "empty answer"),
        (Reply(message={"content": [{"type": "image_url", "image_url": {}}]}), "empty answer"),
        (Reply(None, message={"tool_calls": [{"id": "1"}]}), "called a tool"),
        (Reply("<think>They ask."), "without words for the reader"),
        (Reply("<think>They ask", finish_reason="length"), "cut off"),
        (Reply(None, message={"reasoning_content": "They"}, finish_reason="length"), "cut off"),
        (Reply("<tool_call>{}</tool_call>"), "without words for the reader"),
        (stream(delta(None, "stop")), "empty answer"),
        (stream({"error": {"message": "no"}}), "no chat completion"),
        (Reply(body=b"data: [1]\n\ndata: {"), "something other than JSON"),
        (body(error={"message": "no credit"}), "no chat completion"),
        (body(choices=[{"message": "hello"}]), "no chat completion"),
        (body(choices=[{"delta": {"content": "hello"}}]), "no chat completion"),
        (body(output=[{"type": "message", "content": "hello"}]), "empty answer"),
    ],
)
async def test_an_answer_without_words_for_a_reader_is_none_and_says_why(reply: Reply, sentence: str) -> None:
    with pytest.raises(AIError, match=sentence):
        await answered(reply)


async def test_an_answer_that_the_limit_of_tokens_ended_is_known_as_such() -> None:
    completion = await answered(Reply("We open at 9 am. We clo", finish_reason="length"))
    assert (completion.text, completion.cut) == ("We open at 9 am. We clo", True)
