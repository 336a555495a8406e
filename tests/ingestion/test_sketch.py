import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.sketch import Sketcher

BANDS = 14
WORDS = [f"word{i}" for i in range(2_000)]
THAI = "ช่วยแนะนำร้านอาหารไทยในกรุงเทพที่เปิดถึงดึกและเดินทางสะดวกด้วยรถไฟฟ้า"
CHINESE = "请帮我写一封正式的邮件，邀请客户参加我们下个月在上海举办的新产品发布会"


def share(first, second) -> bool:
    return not set(first).isdisjoint(second)


def said(*words: str) -> list[str]:
    return [" ".join(words)]


@pytest.fixture
def bands():
    return Sketcher().bands


TOO_SHORT = {
    "nothing": [],
    "a greeting": ["hello, how are you?"],
    "eleven shingles": said(*WORDS[:13]),
    "one phrase, again and again": said(*WORDS[:4] * 50),
    "a short line in Chinese": [CHINESE[:15]],
}


@pytest.mark.parametrize("texts", TOO_SHORT.values(), ids=TOO_SHORT)
def test_too_little_has_no_sketch(texts, bands):
    assert bands(texts) == ()


def test_twelve_shingles_have_one(bands):
    assert len(bands(said(*WORDS[:14]))) == BANDS


ALIKE = {
    "upper case": (said(*WORDS[:40]), [" ".join(WORDS[:40]).upper()]),
    "other spaces": (said(*WORDS[:40]), ["\n\n".join(WORDS[:40])]),
    "cut into other messages": (said(*WORDS[:40]), [" ".join(WORDS[:9]), " ".join(WORDS[9:40])]),
    "said twice": (said(*WORDS[:40]), said(*WORDS[:40], *WORDS[:40])),
    "Chinese with another end": ([CHINESE], [CHINESE + "。"]),
    "Thai with another end": ([THAI], [THAI + "ครับ"]),
}


@pytest.mark.parametrize("first, second", ALIKE.values(), ids=ALIKE)
def test_alike(first, second, bands):
    assert share(bands(first), bands(second))


UNLIKE = {
    "other words": (said(*WORDS[:40]), said(*WORDS[40:80])),
    "the same words in another order": (said(*WORDS[:40]), said(*WORDS[39::-1])),
    "other Chinese": (
        [CHINESE],
        ["如何在家里用简单的材料做出好吃又健康的早餐，适合上班族快速准备"],
    ),
}


@pytest.mark.parametrize("first, second", UNLIKE.values(), ids=UNLIKE)
def test_unlike(first, second, bands):
    assert not share(bands(first), bands(second))


# Similarity -> the share of pairs that is found; 300 pairs, so within about .03 at these ends.
@pytest.mark.parametrize("similarity, least, most", [(0.8, 0.93, 1), (0.4, 0, 0.05)])
def test_how_many_pairs_are_found(similarity, least, most, bands):
    rng = random.Random(7)
    length = 200
    common = round(2 * length * similarity / (1 + similarity))
    found = 0
    for _ in range(300):
        words = [f"w{rng.randrange(10**9)}" for _ in range(2 * length - common + 4)]
        first, second = words[: length + 2], words[length - common :]
        found += share(bands(said(*first)), bands(said(*second)))
    assert least <= found / 300 <= most


def test_long_texts_are_cut(bands):
    long = " ".join(WORDS * 50)
    assert bands([long]) == bands([long + " and more"])
    assert len(bands(["字" * 7 + "".join(map(chr, range(0x4E00, 0x9000)))])) == BANDS


def test_the_same_in_every_process(bands):
    code = (
        "from ingestion.sketch import Sketcher;"
        "print(*Sketcher().bands([' '.join(f'word{i}' for i in range(40))]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = bands(said(*WORDS[:40]))
    assert tuple(map(int, done.stdout.split())) == here
    # What is published is compared with what comes later: a change here ends that.
    assert here[:2] == (3023318770198247013, 13908124423772107987)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_bands_are_unsigned_64_bit_or_none(texts):
    found = Sketcher().bands(texts)
    assert len(found) in (0, BANDS)
    assert all(0 <= band < 2**64 for band in found)
