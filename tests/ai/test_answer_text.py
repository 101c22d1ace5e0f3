"""What models write around an answer, and what of it a customer reads."""

from __future__ import annotations

import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.ai.answer_text import answer_text

HELLO = "We open at 9 am."

THOUGHTS = [
    f"<think>They ask about hours.</think>{HELLO}",
    f"<think>\n\n</think>\n\n{HELLO}",
    f"<thinking>Hours, then.\n\nLook it up.</thinking>\n{HELLO}",
    f"<reasoning effort='low'>Hours.</reasoning>\n\n{HELLO}",
    f"<THINK>Hours.</THINK> {HELLO}",
    f"<reflection>Is that right? Yes.</reflection>{HELLO}",
    f"<seed:think>Hours.</seed:think>{HELLO}",
    f"They ask about hours. I look it up.\n</think>\n\n{HELLO}",
    f"They ask about hours.</think>{HELLO}",
    f"{HELLO}\n<think>Was that polite? I could",
    f"{HELLO} <think>Was that polite?</think>",
    f"<think>one <think>two</think> three</think>{HELLO}",
    f"<think>The tag <think> is odd.</think>{HELLO}",
    f"<think>a</think>\n<think>b</think>\n{HELLO}",
    f"<think>a</thinking>{HELLO}",
    f"<think>The user writes `</think>` in code.</think>{HELLO}",
    f"[THINK]Hours.[/THINK]{HELLO}",
    f"[Thinking]\nHours.\n[/Thinking]\n{HELLO}",
    f"◁think▷Hours.◁/think▷{HELLO}",
    f"&lt;think&gt;Hours.&lt;/think&gt;{HELLO}",
    f"<|begin_of_thought|>Hours.<|end_of_thought|>\n<|begin_of_solution|>{HELLO}<|end_of_solution|>",
    f"<|START_THINKING|>Hours.<|END_THINKING|><|START_RESPONSE|>{HELLO}<|END_RESPONSE|>",
    f"<|channel>thought\nHours.\n<channel|>{HELLO}",
    f"<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>{HELLO}",
    f"<|start|>assistant<|channel|>final<|message|>{HELLO}<|return|>",
    f"<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>{HELLO}",
    f"<|channel|>commentary<|message|>Let me see.<|end|><|channel|>final <|constrain|>text<|message|>{HELLO}<|end|>",
    f"analysisThey ask about hours.assistantfinal{HELLO}",
    f"<think>Hours.</think>\n<answer>{HELLO}</answer>",
    f"<think>Hours.</think>\n<answer>\n{HELLO}",
    f"<response>{HELLO}</response>",
    f"They ask about hours.\n<answer>{HELLO}</answer>\nConfidence: high",
    f"Thought: I need the hours.\nAction: search\nAction Input: hours\nObservation: 9\nFinal Answer: {HELLO}",
    f"```thinking\nHours.\n```\n{HELLO}",
    f"<analysis>Hours.</analysis>\n{HELLO}",
    f"<antThinking>Hours.</antThinking>{HELLO}",
    f"Thinking...\nHours.\n\nLook it up.\n...done thinking.\n\n{HELLO}",
    f"**Reasoning:** They ask about hours.\n\n**Answer:** {HELLO}",
    f"Reasoning: they ask about hours.\nFinal Answer: {HELLO}",
]

TOKENS = [
    f"{HELLO}<|im_end|>",
    f"{HELLO} <|eot_id|>",
    f"{HELLO}</s>",
    f"<s> {HELLO}</s>",
    f"{HELLO}<end_of_turn>\n<eos>",
    f"{HELLO}<|endoftext|>The capital of France is Paris.",
    f"{HELLO}<|im_end|>\n<|im_start|>user\nAnd on Sundays?<|im_end|>",
    f"<|im_start|>assistant\n{HELLO}",
    f"<|start_header_id|>assistant<|end_header_id|>\n\n{HELLO}<|eot_id|>",
    f"<start_of_turn>model\n{HELLO}<end_of_turn>",
    f"[INST] When do you open? [/INST] {HELLO}",
    f"<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nWhen? [/INST]{HELLO}</s>",
    f"{HELLO} [/INST]",
    f"{HELLO}<｜end▁of▁sentence｜>",
    f"<｜Assistant｜>{HELLO}",
    f"<|assistant|>\n{HELLO}<|user|>\nThanks",
    f"<|assistant|>: {HELLO}",
    f"{HELLO}[EOS]",
    f"\ufeff{HELLO}\u200b",
    f"{HELLO}\0",
]

LABELS = [
    f"Assistant: {HELLO}",
    f"**Assistant:** {HELLO}",
    f"assistant\n\n{HELLO}",
    f"AI: {HELLO}",
    f"Bot:\n{HELLO}",
    f"Chatbot : {HELLO}",
    f"AI Assistant: {HELLO}",
    f"[Assistant]: {HELLO}",
    f"Assistant (Mia): {HELLO}",
    f"### Response:\n{HELLO}",
    f"### Assistant: {HELLO}",
    f"## Answer\n{HELLO}",
    f"Response: {HELLO}",
    f"Antwort: {HELLO}",
    f"Respuesta: {HELLO}",
    f"{{{{char}}}}: {HELLO}",
    f"Corner Shop: {HELLO}",
    f"**Corner Shop:** {HELLO}",
    f"corner shop: {HELLO}",
    f"Assistant: Corner Shop: {HELLO}",
    f"{HELLO}\n\nUser: And on Sundays?",
    f"{HELLO}\nHuman: And on Sundays?\nAssistant: No.",
    f"Assistant: {HELLO}\nCustomer: And on Sundays?",
    f"{HELLO}\n\n### Instruction:\nAnswer the next one.",
    f"{HELLO}\n### User:\nAnd on Sundays?",
    f"Bot: {HELLO}\nUser: And on Sundays?\nBot: No.",
    f"GPT4 Correct Assistant: {HELLO}",
    f"Assistant's reply: {HELLO}",
    f"Corner Shop's assistant: {HELLO}",
    f"Support Agent: {HELLO}",
    f"**Response**\n\n{HELLO}",
    f"{HELLO}\n\n[User]: And on Sundays?",
    f"{HELLO}\n\nUser (annoyed): And on Sundays?",
    f"<assistant>{HELLO}</assistant>",
    f"{HELLO}\n[END]",
    f"{HELLO}\n### End",
    f"{HELLO} [end of response]",
]

WRAPPERS = [
    f'{{"response": "{HELLO}"}}',
    f'{{"message": "{HELLO}", "confidence": 0.9}}',
    f'{{"answer": "{HELLO}", "sources": ["faq.pdf"]}}',
    f'{{"thought": "hours", "reply": "{HELLO}"}}',
    f'{{"role": "assistant", "content": "{HELLO}"}}',
    f'{{"message": {{"role": "assistant", "content": "{HELLO}"}}}}',
    f'[{{"type": "text", "text": "{HELLO}"}}]',
    f'```json\n{{"response": "{HELLO}"}}\n```',
    f"```\n{HELLO}\n```",
    f"```markdown\n{HELLO}\n```",
    f'"{HELLO}"',
    f"“{HELLO}”",
    f"{{'response': '{HELLO}'}}",
    f'{{"response": "{HELLO}',
    f'{{"response": "{HELLO}", "conf',
    f'<think>JSON.</think>{{"text": "{HELLO}"}}',
    f'{{"data": {{"Response": "{HELLO}"}}}}',
    f'{{"assistant_response": "{HELLO}"}}',
    f'{{"action": "final_answer", "action_input": "{HELLO}"}}',
    f'{{"choices": [{{"message": {{"content": "{HELLO}"}}}}]}}',
    f'["{HELLO}"]',
    f'{{response: "{HELLO}"}}',
    f'```json\n{{"response": "{HELLO}',
    f"Sure! Here is a message you can send:\n\n{HELLO}",
    f"Here's how I would respond:\n\n{HELLO}",
    f"Below is a suggested reply to the customer:\n\n> {HELLO}",
    f"Response to customer:\n\n{HELLO}",
    f"{HELLO}\n\n(Note: this response is based on the knowledge base.)",
    f"{HELLO}\n\n---\nLet me know if you'd like me to adjust the tone!",
    f'Assistant: {{"output": "{HELLO}"}}',
    f'json\n{{"answer": "{HELLO}"}}',
    f'{{"respuesta": "{HELLO}"}}',
    f'{{"antwort": "{HELLO}"}}',
    f'{{"answer": ["{HELLO}"]}}',
    f"Sure! Here's a reply:\n\n{HELLO}",
    f"Here is a possible response to the customer:\n\n{HELLO}",
    f"Certainly! Here's a friendly response you could send:\n\n---\n\n{HELLO}\n\n---",
    f'Here\'s a short answer:\n\n"{HELLO}"',
    f"Sure, here is the reply:\n```\n{HELLO}\n```\nLet me know if you'd like me to adjust the tone.",
]

REMNANTS = [
    f'<tool_call>\n{{"name": "search", "arguments": {{"q": "hours"}}}}\n</tool_call>\n{HELLO}',
    f'{HELLO}\n<tool_call>{{"name": "search"',
    f'{HELLO}\n<function_calls><invoke name="search"></invoke></function_calls>',
    f'<function=search>{{"q": "hours"}}</function>{HELLO}',
    f'{HELLO} [TOOL_CALLS] [{{"name": "search", "arguments": {{}}}}]',
    f"<tool_response>9</tool_response>{HELLO}",
    f"{HELLO}<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search<｜tool▁calls▁end｜>",
    f"```tool_code\nprint(search('hours'))\n```\n{HELLO}",
    f"<|tool_calls_begin|><|tool_call_begin|>function<|tool_sep|>search<|tool_calls_end|>{HELLO}",
    "We open at 9 am. :contentReference[oaicite:0]{index=0}",
    "We open at 9 am. citeturn0search0turn0search3",
    "We open at 9 am【4:0†hours.pdf】.",
    "We open at 9 am 【12†source】.",
    "We open at 9 am[1].",
    "We open at 9 am. [1][2]",
    "We open at 9 am [1, 2].",
    "We open at 9 am.[^1]\n\n[^1]: hours.pdf",
    "We open at 9 am (source: hours.pdf).",
    "We open at 9 am (Quelle: FAQ).",
    "We open at 9 am [doc1].",
    "We open at 9 am [Source: hours.pdf].",
    "We open at 9 am.\n\nSources:\n- hours.pdf\n- faq.md",
    "We open at 9 am[1].\n\n[1] hours.pdf",
    "We open at 9 am. \ue200cite\ue202turn0search1\ue201",
    "We open at 9 am.<sup>1</sup>",
    "We open at 9 am (see [1]).",
    "We open at 9 am (Source 1).",
    "We open at 9 am. [hours.pdf]",
    "We open at 9 am.【1】",
    "We open at 9 am.¹",
    "We open at 9 am. [^1^][2]",
    "We open at 9 am. [[1]](https://acme.example)",
    "We open at 9 am. {{cite:1}}",
    "We open at 9 am. <source>faq</source>",
    "We open at 9 am (according to the document faq.pdf).",
    "We open at 9 am. [KB-1]",
    "We open at 9 am.\n\nReferences:\n[1] FAQ, opening hours",
    "We open at 9 am.\nfunctions.search({'q': 1})",
    'We open at 9 am.\n{"name": "search", "arguments": {}}',
    "We open at 9 am.\n<knowledge>\n[]\n</knowledge>",
]


@every_case("text", [*THOUGHTS, *TOKENS, *LABELS, *WRAPPERS, *REMNANTS])
def test_a_customer_reads_the_answer_and_nothing_that_a_model_wrote_around_it(text: str) -> None:
    assert answer_text(text, ["Corner Shop"]) == HELLO


NOTHING = [
    "",
    "  \n",
    "<think>They ask about hours and I",
    "<think>They ask.</think>",
    "They ask about hours.\n</think>",
    "[THINK]Hours",
    "◁think▷Hours",
    "<|channel|>analysis<|message|>They ask about hours and I",
    "<|channel|>analysis<|message|>Hm.<|end|><|channel|>commentary to=functions.f<|message|>{}<|call|>",
    "<|im_end|>",
    "</s>",
    "Assistant:",
    "Corner Shop:",
    '{"response": ""}',
    '{"answer": null}',
    '{"tool_calls": []}',
    "null",
    "None",
    "{}",
    "```json\n[]\n```",
    "```\n```",
    '""',
    '<tool_call>{"name": "search", "arguments": {}}</tool_call>',
    '{"name": "search", "arguments": {"q": "hours"}}',
    '[search(q="hours")]',
    "<think>" * 5000,
    "Assistant: " * 30,
    "x" * 100_001,
    '[TOOL_CALLS] [{"name": "search", "arguments": {}}]',
    "Thought: I need the hours.\nAction: search\nAction Input: hours",
    "User: And on Sundays?",
    "【4:0†hours.pdf】",
]  # fmt: skip


@every_case("text", NOTHING)
def test_an_answer_of_wrappings_alone_is_no_answer(text: str) -> None:
    assert answer_text(text, ["Corner Shop"]) == ""


HARMLESS = [
    "The `<think>` tag marks what a model reasons before it answers.",
    "The <think> tag marks what a model reasons; it ends with </think> as usual.",
    "Models write `<|im_end|>` or `</s>` when they are done.",
    "```html\n<think>hello</think>\n```\nThat is how the tag looks.",
    "Prices in [1] are without tax, those in [2] with it.",
    "[1] Berlin\n[2] Hamburg\nReply with the number of your city.",
    "To confirm, reply [1]. To cancel, reply [2].",
    "Press [1] for sales or [2] for service.",
    "Use `rows[1]` for the second one.",
    "See [our prices](https://acme.example/prices) [here][1].\n\n[1]: https://acme.example",
    "Sizes: S [36], M [38].",
    "Your login:\nUser: admin\nPassword: swordfish",
    "Customer: Ada Lovelace\nOrder: 17\nTotal: 5 €",
    "Model: X100\nColour: red\nPrice: 5 €",
    "Response: within 24 hours\nRepair: within a week",
    "Berlin: open 9 to 5\nHamburg: open 10 to 6",
    "Assistants are on duty from 9 to 5.",
    "AI is not used for this.",
    "Note: we are closed on Monday.",
    "Hours:\n- Monday: 9 to 5\n- Tuesday: closed",
    "Here is our address:\n\nMain Street 5\n10115 Berlin",
    'Here is the code:\n\n```json\n{"message": "hi"}\n```',
    '```python\nprint("hello")\n```',
    '```json\n{"sku": 5, "price": 3}\n```',
    '{"sku": 5, "price": 3}',
    'He said "yes" and "no"',
    '"Acme" is our name, "Ltd" the form.',
    "Sure! We open at 9.",
    "Was <s>49</s> 39 euros",
    "The room has 20 m<sup>2</sup> and a view.",
    "Please sign [contract.pdf] and send it back.",
    "【1】 Einlass\n【2】 Beginn",
    "5 * 3 * 2 = 30, and order_id_7 is on its way.",
    "a < b and c > d, and <b>bold</b>",
    "1. Open the app\n2. Choose *Orders*\n   - then *Returns*",
    "Thought: of the day. Read more books.",
    "I think so. Thinking costs nothing.",
    "Source of the wood: Finland.",
    "(Source of the river: the Alps.)",
    "Sources of energy:\n- sun\n- wind",
    "Answer key\n1: b\n2: c",
    "Write to user@acme.example or 'support'.",
    "The analysis was final.",
    "analysis is free of charge",
    "{first_name} is a placeholder.",
    "We have [5] stars! Call +1 (810) 555-0123.",
    "مرحبا، نفتح الساعة 9.",
    "👨‍👩‍👧 tickets cost 20 €.",
    "Was ist 3/4 von 8? Antwort: 6.",
    "### End of season\n20% off",
    "AI: artificial intelligence\nML: machine learning",
    "Agent: Mia Jones\nPhone: 030 1234",
    "Let me know if you'd like me to change your order.",
    "(Note: prices include VAT.)",
    "The elements a[1] and b[2] are equal, x[1]=2.",
    "Use <source>url</source> in XML.",
    "In the [INST] format, prompts end with `[/INST]`.",
    "analysisTools is a module.",
    "Instructions:\n### Input\nWrite here.",
    "Q: When do you open?\nA: At 9.",
    "See our guide (guide.pdf) or [the file](https://acme.example/faq.pdf).",
    '["a", "b"]',
    "None of these.",
    '{"city": "Berlin"}',
    "Analysis: your skin is dry. Reply: within a day.",
    "Thinking... what a word.",
    "It is 20 m². Nice!",
    "Your options:\n\nUser: 5 € a month\nTeam: 20 € a month",
]


@every_case("text", HARMLESS)
def test_what_a_customer_may_want_to_read_stays_as_it_is(text: str) -> None:
    assert answer_text(text, ["Corner Shop", "Berlin"]) == text


@every_case(
    ("text", "shown"),
    [
        ("<think>x</think>Use `a` and `b`.", "Use `a` and `b`."),
        ('{"response": "Line one\\nLine two"}', "Line one\nLine two"),
        ('"Line one\\nLine \\u00fcber"', "Line one\nLine über"),
        ('{"response": "Line one\nLine two"}', "Line one\nLine two"),
        ("We open at 9[1], close at 5[2].", "We open at 9, close at 5."),
        ("Free【1†a】, fast【2†b】.", "Free, fast."),
        ("```json\n{\"answer\": 42}\n```", "42"),
        ("a\r\nb", "a\nb"),
        ('{"answer": ["We open at 9.", "Bye."]}', "We open at 9.\n\nBye."),
        ("Hi Ada!\n\nUser: when?\nAssistant: At 9.", "Hi Ada!"),
        ("1. one\n   - nested\n2. two<|im_end|>", "1. one\n   - nested\n2. two"),
        ("Wait <think>hm</think> for it", "Wait for it"),
    ],
)  # fmt: skip
def test_what_is_left_is_not_changed(text: str, shown: str) -> None:
    assert answer_text(text) == shown


PIECES = st.sampled_from(
    [
        "<think>", "</think>", "[THINK]", "◁think▷", "<|im_end|>", "<|channel|>final<|message|>", "</s>", "[INST]",
        "[/INST]", "Bot:", "User:", "### Response:", '{"response": "', '"}', "```json\n", "```", "`", "[1]",
        "【1†a】", "<tool_call>", "</tool_call>", "Here is a reply:\n", "\n", "\n\n", " ", ".", '"', "hello", "Sure!",
        "[^1]", "[^1]: a", "<answer>", "Sources:\n", "(source: a)", "analysis", "assistantfinal", "\\n", "{",
        "}", "'",
    ]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
@example("<think><think></think>Assistant: hello")
def test_a_cleaned_answer_is_clean(text: str) -> None:
    once = answer_text(text, ["Mia"])
    assert answer_text(once, ["Mia"]) == once


PLAIN = st.text(string.ascii_lowercase + "äßéñ あ漢 😀 .,!?*_-()/0123456789\n", max_size=200)
PLAIN = PLAIN.filter(lambda text: text.strip() not in ("null", "undefined"))


@settings(deadline=None)
@given(PLAIN)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert answer_text(text) == text.strip()
