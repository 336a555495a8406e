import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.conversations import FollowUp
from mining.likeness import ECHOED, REPEATED, REPHRASED, likeness

CAKE = "give me a chocolate cake recipe without eggs"
CASES = {  # follow-up, request -> repeated, rephrased, echoed
    "the same": (CAKE, CAKE, (True, True, True)),
    "another order": (
        "without eggs: a chocolate cake recipe, give me",
        CAKE,
        (False, True, True),
    ),
    "a part": ("chocolate cake without eggs", CAKE, (False, False, True)),
    "another subject": ("give me a lemon tart", CAKE, (False, False, False)),
    "Chinese, a part": (
        "室内 人均100",
        "公司团建 30人 人均100 室内 帮我出方案",
        (False, False, True),
    ),
    "few words": ("no eggs", CAKE, (False, False, False)),
    "empty": ("", "", (False, False, False)),
}


@pytest.mark.parametrize("text, user, expected", CASES.values(), ids=CASES)
def test_likeness(text, user, expected):
    found = likeness(FollowUp(user=user, answer="", follow_up=text))
    over = (found.repeated >= REPEATED, found.rephrased >= REPHRASED, found.echoed >= ECHOED)
    assert over == expected


def test_a_request_before_the_last_is_known_again():
    talk = FollowUp(user="no, Oslo", answer="", follow_up=CAKE, earlier=(CAKE, "and a tea"))
    assert likeness(talk).earlier == 1
    assert likeness(talk).repeated < REPEATED


@given(st.text(max_size=80), st.text(max_size=80))
def test_shares_lie_between_none_and_all(text, user):
    found = likeness(FollowUp(user=user, answer="", follow_up=text, earlier=(user,)))
    assert all(
        0 <= share <= 1 for share in (found.repeated, found.rephrased, found.echoed, found.earlier)
    )
