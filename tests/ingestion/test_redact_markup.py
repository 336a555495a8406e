"""What marks a text up hides nothing in it: Markdown, escapes, words with no space after them.

All examples are invented.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.redact import folding
from ingestion.redact.redactor import Redactor

REDACTOR = Redactor()


def redact(text, language="en"):
    return REDACTOR.redact([text], language=language, country=None).texts[0]


VALUES = {
    "PHONE": "(202) 555-0143",
    "CARD": "4111 1111 1111 1111",
    "IBAN": "GB29 NWBK 6016 1331 9268 19",
    "IP": "81.2.69.142",
    "ADDRESS": "742 Evergreen Ter, Reno, NV 89501",
    "EMAIL": "jo_doe@example.com",
    "NATIONAL_ID": "123-45-6789",
}
MARKS = {
    "italics": "*{}*",
    "bold": "**{}**",
    "bold italics": "***{}***",
    "italics, underlined": "_{}_",
    "bold, underlined": "__{}__",
    "both": "**_{}_**",
    "struck out": "~~{}~~",
    "code": "`{}`",
    "a sentence": "_Here: {}_",
    "behind an end of line": r"Here:\n{}\nBye",
    "behind two": r"Here:\r\n\r\n{}\r\n",
    "behind a tab": r"x\t{}\ty",
    "in JSON text of JSON text": r"{{\"body\": \"Hi,\\n{}\\n\"}}",
}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
@pytest.mark.parametrize("kind, value", VALUES.items(), ids=VALUES)
def test_marks_hide_nothing(kind, value, mark):
    text = f"My SSN, my phone: {mark}."
    assert redact(text.format(value)) == text.format(f"[{kind}_1]")


@pytest.mark.parametrize(
    "text, redacted",
    {
        "an IPv4 address alone": ("**81.2.69.142**", "**[IP_1]**"),
        "an international phone": ("_+41 44 668 18 00_", "_[PHONE_1]_"),
        "in an item of a list": ("*(202) 555-0143", "*[PHONE_1]"),
        "after Chinese": ("手机**13800138000**", "手机**[PHONE_1]**"),
        "a password after its word": ("**Password:** hunter2!X", "**Password:** [SECRET_1]"),
        "one after its word, underlined": ("__Password:__ hunter2!X", "__Password:__ [SECRET_1]"),
        "a password, underlined": ("password: _hunter2!X_", "password: _[SECRET_1]_"),
        "a password and its word": ("**Password** is hunter2!X", "**Password** is [SECRET_1]"),
        "digits of one": ("**Passwort:** **483920**", "**Passwort:** **[SECRET_1]**"),
        "a key": (
            "**API key:** **Zk3q9Tw7Lm2x8Vb4**",
            "**API key:** **[SECRET_1]**",
        ),
        "a token behind an end of line": (
            r"keys:\nAKIAIOSFODNN7EXAMPLE\n",
            r"keys:\n[SECRET_1]\n",
        ),
        "a password in JSON text": (
            r'f({"body": "{\"password\": \"hunter2!X\"}"})',
            r'f({"body": "{\"password\": \"[SECRET_1]\"}"})',
        ),
        "a password and what follows it": (
            r"password: hunter2!X\nThanks",
            r"password: [SECRET_1]\nThanks",
        ),
        "an address over two lines": (
            r"742 Evergreen Ter\nReno, NV 89501\n",
            r"[ADDRESS_1]\n",
        ),
    }.values(),
)  # fmt: skip
def test_marked_text(text, redacted):
    assert redact(text) == redacted


STAYS = {
    "a product": "2*4111111111111111",
    "a power": "2**202-555-0143",
    "a product with a bracket": "f(x)*81.2.69.142",
    "a name of code": "snake_81.2.69.142",
    "a long name of code": "snake__81.2.69.142",
    "about": "~81.2.69.142",
    "a home": "~/4111111111111111",
    "a version in bold": "version **1.20.3.4**, **Version:** 1.20.3.4, version _1.20.3.4_",
    "an order in bold": "order no. **4111111111111111**, **Order:** 4111111111111111",
    "a password that is described": "The password is **case-sensitive**",
    "a name of Python": "password=__config__",
    "a row of numbers on escaped lines": r"10 20 30 40 50 60 71 81\n" * 4,
    "a product of matrices": "q@k.transpose(-2,-1)",
    "two calls after a product": "y = q@self.weight.t().contiguous()",
    "a short call after a product": "y = q@k.to(device)",
}


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "text, redacted",
    {
        "before brackets": ("jo@example.com(work)", "[EMAIL_1](work)"),
        "before brackets in Chinese": ("jo@example.com（工作）", "[EMAIL_1]（工作）"),
        "before code": ("jo@example.com, q.transpose(1)", "[EMAIL_1], q.transpose(1)"),
        "of a country": ("jo@example.de(privat)", "[EMAIL_1](privat)"),
    }.values(),
)
def test_what_is_no_call_is_an_address(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text, redacted",
    {
        "是": ("我的密码是abc12345", "我的密码是[SECRET_1]"),
        "为": ("登录密码为Qw3rty!99", "登录密码为[SECRET_1]"),
        "為": ("密碼為Qw3rty!99。", "密碼為[SECRET_1]。"),
        "a space before": ("密码 是 abc12345", "密码 是 [SECRET_1]"),
        "a colon after": ("密码是：abc12345，谢谢", "密码是：[SECRET_1]，谢谢"),
        "in quotes": ("密码是“abc12345”", "密码是“[SECRET_1]”"),
        "words after": ("密码是abc12345谢谢", "密码是[SECRET_1]谢谢"),
        "full-width": ("密码是ａｂｃ１２３４５", "密码是[SECRET_1]"),
        "Japanese": ("パスワードはabc12345です", "パスワードは[SECRET_1]です"),
        "Korean": ("비밀번호는 abc12345 입니다", "비밀번호는 [SECRET_1] 입니다"),
        "assigned, words after": ("密码：Qw3rty!99，谢谢", "密码：[SECRET_1]，谢谢"),
        "a pass for a city": ("**Pass:** 包含门票，1天€89起", "**Pass:** 包含门票，1天€89起"),
        "a question": ("密码是多少？我忘了123456", "密码是多少？我忘了123456"),
        "an algorithm": ("密码为SHA256加密", "密码为SHA256加密"),
        "letters alone": ("密码是password", "密码是password"),
    }.values(),
)
def test_passwords_without_spaces(text, redacted):
    assert redact(text, "zh") == redacted


PIECES = [
    "*", "**", "_", "__", r"\n", r"\t", r"\"", "\\", " ", "\n", ":", "a", "5", "(", "是",
    "password", *VALUES.values(), "hunter2!X", "[EMAIL_1]", "q@k.to", "+41 44 668 18 00",
    "ｊｏ＠a.com",
]  # fmt: skip
MARKED = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(MARKED)
@settings(max_examples=300, deadline=None)
def test_redacting_again_changes_nothing(text):
    once = redact(text)
    assert redact(once) == once


@given(st.one_of(MARKED, st.text(alphabet='_*\\nrt"a1 .\n')))
@settings(max_examples=300, deadline=None)
def test_bytes_keep_their_places(text):
    before = text.encode()
    after = folding.unmarked(before)
    assert len(after) == len(before)
    changed = {a for a, b in zip(before, after, strict=True) if a != b}
    assert changed <= set(b"_\\nrt")
