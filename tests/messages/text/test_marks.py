"""Markdown as WhatsApp, SMS, mail and the widget show it."""

from __future__ import annotations

import html
import re
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.text.marks import in_html, in_whatsapp_marks, without_marks
from tidings.messages.text.segments import measure

CASES = [
    ("We are **open**.", "We are *open*.", "We are open."),
    ("We are __open__.", "We are *open*.", "We are open."),
    ("We are *really* open.", "We are _really_ open.", "We are really open."),
    ("We are _really_ open.", "We are _really_ open.", "We are really open."),
    ("***Both***", "_*Both*_", "Both"),
    ("~~49 €~~ 39 €", "~49 €~ 39 €", "49 € 39 €"),
    ("Use `code A1`.", "Use `code A1`.", "Use code A1."),
    ("```python\nx = 1\n```", "```\nx = 1\n```", "x = 1"),
    ("# Hours\n\nMon", "*Hours*\n\nMon", "Hours\n\nMon"),
    ("### **Hours** today\nMon", "*Hours today*\nMon", "Hours today\nMon"),
    ("- Mon\n- Tue", "- Mon\n- Tue", "- Mon\n- Tue"),
    ("* Mon\n* **Tue**", "- Mon\n- *Tue*", "- Mon\n- Tue"),
    ("1. Mon\n2. Tue", "1. Mon\n2. Tue", "1. Mon\n2. Tue"),
    ("1. Mon\n1. Tue", "1. Mon\n2. Tue", "1. Mon\n2. Tue"),
    ("3. Mon\n7. Tue", "3. Mon\n7. Tue", "3. Mon\n7. Tue"),
    ("1. Mon\n   - early\n2. Tue", "1. Mon\n  - early\n2. Tue", "1. Mon\n  - early\n2. Tue"),
    ("[our shop](https://a.example/a_b)", "our shop (https://a.example/a_b)", "our shop (https://a.example/a_b)"),
    ("[acme.example](https://acme.example/)", "https://acme.example/", "https://acme.example/"),
    ("<https://acme.example>", "https://acme.example", "https://acme.example"),
    ("[Ada](mailto:ada@acme.example)", "Ada (ada@acme.example)", "Ada (ada@acme.example)"),
    ("[+49 30 1234](tel:+49301234)", "+49 30 1234", "+49 30 1234"),
    ("[see][1]\n\n[1]: https://acme.example", "see (https://acme.example)", "see (https://acme.example)"),
    (
        "![the shop](https://a.example/s.png)",
        "the shop (https://a.example/s.png)",
        "the shop (https://a.example/s.png)",
    ),
    ("[click](javascript:alert(1))", "click", "click"),
    ("[here](/returns)", "here (/returns)", "here (/returns)"),
    ("> Come in\n> and look", "> Come in\n> and look", "> Come in\n> and look"),
    ("| Size | Price |\n|---|---:|\n| S | 5 € |", "*Size: Price*\nS: 5 €", "Size: Price\nS: 5 €"),
    (
        "| Size | Price | Left |\n|---|---|---|\n| S | **5 €** | 3 |\n| M | 6 € | |",
        "Size S: Price *5 €*, Left 3\nSize M: Price 6 €",
        "Size S: Price 5 €, Left 3\nSize M: Price 6 €",
    ),
    ("**one\ntwo**", "*one*\n*two*", "one\ntwo"),
    ("<b>Open</b><br>from 9", "*Open*\nfrom 9", "Open\nfrom 9"),
    ("<p>Open</p><p>from <em>9</em></p>", "Open\n\nfrom _9_", "Open\n\nfrom 9"),
    (
        "Open:\n<ul>\n  <li>Mon</li>\n  <li><b>Tue</b></li>\n</ul>\nBye",
        "Open:\n- Mon\n- *Tue*\n\nBye",
        "Open:\n- Mon\n- Tue\n\nBye",
    ),
    (
        "<a href='https://a.example/r' target='_blank'>Returns</a>!",
        "Returns (https://a.example/r)!",
        "Returns (https://a.example/r)!",
    ),
    ("<a href='javascript:x'>x</a>", "x", "x"),
    (
        "A <p>x</p> in HTML, <li> and `<li>x</li>`",
        "A <p>x</p> in HTML, <li> and `<li>x</li>`",
        "A <p>x</p> in HTML, <li> and <li>x</li>",
    ),
    ("我们**现在**营业", "我们现在营业", "我们现在营业"),
    ("a\\*b\\*c", "a*b*c", "a*b*c"),
    ("AT&amp;T &euro;5", "AT&T €5", "AT&T €5"),
]


@every_case(("text", "whatsapp", "plain"), CASES)
def test_marks_become_what_the_channel_shows(text: str, whatsapp: str, plain: str) -> None:
    assert (in_whatsapp_marks(text), without_marks(text)) == (whatsapp, plain)


UNCHANGED = [
    "5 * 3 * 2 = 30",
    "5*3*2 = 30, 2**3**2 = 512",
    "Order ORD_2026_11_A and A*17*B",
    "Kund*innen und Lehrer*innen",
    "first_last_name@acme_shop.example",
    "https://acme.example/_a_/b_c_d?e=*f*&g=__h__.",
    "See https://acme.example/a_(b)_c, please.",
    "Call +49 30 1234 or #1234.",
    "+ 5 € is no list? -5 °C, 1.5 l",
    "C:\\Users\\ada\\file",
    "[ ] and [x] and [1] and (2)",
    "a < b > c & d <tag>",
    "snake_case and two__in__one",
    "Line one\nLine two\n\nLine three",
    "Price: 5 € | 6 € | 7 €",
    "~5 minutes, ~10 at most",
    "* 5 stars",
    "10. May is a holiday",
    "#hashtag and 5% off!",
    "$5_000 or 5_000",
    "😀 *",
]


@every_case("text", UNCHANGED)
def test_what_only_looks_like_marks_stays(text: str) -> None:
    bullet = text.replace("* 5", "- 5").replace("+ 5", "- 5")
    assert without_marks(text) == bullet
    assert in_whatsapp_marks(text) == bullet


@every_case(
    ("text", "shown"),
    [
        ("**a** & <b>", "<p><strong>a</strong> &amp; &lt;b&gt;</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>x</p>"),
        ("[x](JaVaScRiPt:alert(1))", "<p>x</p>"),
        ("[x](data:text/html,hi)", "<p>x</p>"),
        ("[x](&#106;avascript:alert(1))", "<p>x</p>"),
        ("[x](/returns)", "<p>x (/returns)</p>"),
        (
            '[x](https://acme.example/?a="><script>)',
            '<p><a href="https://acme.example/?a=&quot;&gt;&lt;script&gt;" target="_blank"'
            ' rel="noopener noreferrer nofollow">x</a></p>',
        ),
        (
            "![x](https://acme.example/x.png)",
            '<p><a href="https://acme.example/x.png" target="_blank" rel="noopener noreferrer nofollow">x</a></p>',
        ),
        ("![x](javascript:1)", "<p>x</p>"),
        ("# A\nb", '<p class="heading">A</p>\n<p>b</p>'),
        ("5. a\n7. b", '<ol start="5">\n<li value="5">a</li>\n<li value="7">b</li>\n</ol>'),
        ('```js"onx=1\n<b>\n```', '<pre><code class="language-js&quot;onx=1">&lt;b&gt;\n</code></pre>'),
        (
            "| a |\n|:-:|\n| b |",
            "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n"
            "<tbody>\n<tr>\n<td>b</td>\n</tr>\n</tbody>\n</table>",
        ),
    ],
)
def test_html_has_marks_and_safe_links_and_nothing_else(text: str, shown: str) -> None:
    assert in_html(text) == shown


PIECES = st.sampled_from(
    [
        "**",
        "*",
        "_",
        "__",
        "~~",
        "`",
        "```\n",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "# ",
        "> ",
        "| a | b |\n|---|---|\n| c | d |",
        "[x](https://a.example)",
        "[x](javascript:alert(1))",
        "<script>",
        "</div>",
        "<a href='x'>",
        '"',
        "'",
        "&",
        "\\",
        "![x](data:x)",
        "<https://a.example>",
        "word",
        " ",
        "é",
        "😀",
        "<br>",
        "<b>",
        "</b>",
        "javascript:",
        "http://",
        "(",
        ")",
    ]
)
_TAG = re.compile(r"<[^>]*>")
_ALLOWED = re.compile(
    r"</?(?:p|strong|em|s|ul|ol|li|pre|blockquote|table|thead|tbody|tr|th|td|a|code)>|<(?:br|hr) />"
    r"|<p class=\"heading\">|<ol start=\"\d+\">|<li value=\"\d+\">|<code class=\"language-[^\"<>]*\">"
    r"|<a href=\"(?:https?://|mailto:|tel:)[^\"<>]*\"(?: title=\"[^\"<>]*\")? target=\"_blank\""
    r" rel=\"noopener noreferrer nofollow\">"
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_no_text_makes_html_of_its_own(text: str) -> None:
    assert all(_ALLOWED.fullmatch(tag) for tag in _TAG.findall(in_html(text)))
    in_whatsapp_marks(text)
    without_marks(text)


@settings(deadline=None)
@given(st.text(string.ascii_letters + string.digits + " .,!?:;@/€äß\n", max_size=200))
def test_text_without_marks_keeps_every_word(text: str) -> None:
    words = text.split()
    assert without_marks(text).split() == words
    assert in_whatsapp_marks(text).split() == words
    assert html.unescape(_TAG.sub(" ", in_html(text))).split() == words


@every_case("text", [plain for _, _, plain in CASES if plain.isascii()])
def test_marks_make_no_sms_dearer(text: str) -> None:
    assert measure(without_marks(f"**{text}**")).encoding == "GSM-7"
