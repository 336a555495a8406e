import pytest

from ingestion.formats.scores import Feedback, feedback

SCORES = {
    "a thumb up": ([("user-feedback", 1)], Feedback(thumb=1)),
    "a thumb down": ([("user-feedback", 0)], Feedback(thumb=-1)),
    "a thumb down as a sign": ([("user_feedback", -1.0)], Feedback(thumb=-1)),
    "yes and no": ([("thumb", True), ("thumb", False)], Feedback(thumb=-1)),
    "a word": ([("User Feedback", "thumbs_up")], Feedback(thumb=1)),
    "in camel case": ([("userFeedback", "negative")], Feedback(thumb=-1)),
    "a button for each side": ([("thumbs_up", 1)], Feedback(thumb=1)),
    "the other button": ([("thumbs_down", 1)], Feedback(thumb=-1)),
    "the other button, not pressed": ([("thumbs-down", 0)], Feedback()),
    "stars under a name of feedback": ([("user-feedback", 4)], Feedback(rating=4.0)),
    "a rating": ([("rating", 1)], Feedback(rating=1.0)),
    "a rating as text": ([("csat", "4.5")], Feedback(rating=4.5)),
    "an average": ([("user_score", 0.75)], Feedback(rating=0.75)),
    "both": ([("stars", 2), ("like", False)], Feedback(thumb=-1, rating=2.0)),
    "an evaluator's": ([("hallucination", 0), ("helpfulness", 0.9)], Feedback()),
    "a name that only holds one": ([("unlikely", 1), ("started", 1), ("operating", 3)], Feedback()),
    "nothing said": ([("user-feedback", None)], Feedback()),
    "odd values": ([("user-feedback", []), ("rating", {}), (None, 1), (7, 1)], Feedback()),
    "a word that nobody knows": ([("user-feedback", "mauve")], Feedback()),
    "none": ([], Feedback()),
}


@pytest.mark.parametrize("scores, said", SCORES.values(), ids=SCORES)
def test_what_the_user_said(scores, said):
    assert feedback(scores) == said
