import pytest

from ingestion.redact.checks import CHECKS, named
from ingestion.redact.finder import Finder
from ingestion.redact.options import Kind
from ingestion.redact.patterns import load_rules
from warehouse.errors import SettingsError

RULES = load_rules(tuple(Kind))


def write(folder, text):
    (folder / "a.toml").write_text(text)
    return folder


def test_every_kind_has_a_rule():
    assert {rule.kind for rule in RULES} == set(Kind)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_ids_carry_a_version_and_terms_are_spelled_out(rule):
    name, _, version = rule.id.rpartition("_v")
    assert name.replace("_", "").isalnum()
    assert version.isdigit()
    assert "<gap>" not in rule.pattern + "".join(rule.context + rule.unless)


def test_only_the_kinds_asked_for_are_loaded():
    assert {rule.kind for rule in load_rules([Kind.CARD])} == {Kind.CARD}


def test_every_check_is_used():
    assert {rule.check for rule in RULES if "." not in rule.check} == set(CHECKS)


REFUSED = {
    "an unknown field": ('[[rules]]\nid = "a_v1"\nkind = "IP"\npatern = "x"', "patern"),
    "an unknown kind": ('[[rules]]\nid = "a_v1"\nkind = "NAME"\npattern = "x"', "NAME"),
    "an id that stands twice": (
        '[[rules]]\nid = "a_v1"\nkind = "IP"\npattern = "x"\n' * 2,
        "twice",
    ),
}


@pytest.mark.parametrize("text, reason", REFUSED.values(), ids=REFUSED)
def test_a_bad_file_is_refused(tmp_path, text, reason):
    with pytest.raises(SettingsError, match=reason):
        load_rules(tuple(Kind), write(tmp_path, text))


def test_a_pattern_that_re2_cannot_read_is_refused(tmp_path):
    folder = write(tmp_path, '[[rules]]\nid = "a_v1"\nkind = "IP"\npattern = "(?=x)"')
    with pytest.raises(SettingsError, match="a_v1.*no lookaround"):
        Finder(load_rules(tuple(Kind), folder))


def test_an_unknown_check_is_refused():
    with pytest.raises(SettingsError, match="no check is called luck"):
        named("luck")


@pytest.mark.parametrize(
    "check, one, other",
    {
        "cards by their digits": ("card", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        "accounts by their letters": ("iban", "BE71 0961 2345 6769", "be71096123456769"),
        "addresses by their case": ("email", "Jo@Example.com", "jo@example.com"),
        "spelled addresses": ("email_spelled", "jo (at) a [dot] com", "jo at a dot com"),
        "addresses of six groups": ("ip", "2A02:8109::1", "2a02:8109:0:0:0:0:0:1"),
        "ids by their digits": ("stdnum.gb.nhs", "943 476 5919", "9434765919"),
    }.values(),
)  # fmt: skip
def test_ways_of_writing_one_thing_are_one(check, one, other):
    assert named(check)(one, ()) == named(check)(other, ()) is not None
