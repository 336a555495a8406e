"""The settings of a run, and of each thing that can be taken away."""

import math
from dataclasses import replace

import pytest

from driftmine.sandbox.asked import ALL, Asked
from driftmine.sandbox.setup import ABLATIONS, LEARNING_RATES, METHODS, Setup, settings_of
from driftmine.sandbox.users import Behaviour
from driftmine.settings import load
from mining.options import MiningOptions
from training.gate import decide
from training.judging.winrate import Interval
from training.metrics import SATISFIED, Metrics, Shift, Slice
from training.options import EvaluationOptions, GateOptions, StopOptions, TrainingOptions
from warehouse.errors import SettingsError

SETUP = Setup(
    method="drift", seed=3, nights=2, users=800, pairs=384, behaviour=Behaviour(),
    learning_rate=LEARNING_RATES["drift"], policy="/policies/tiny",
)  # fmt: skip
ASKED = Asked(
    method="drift", seeds=(0,), nights=3, users=800, pairs=384, noise=0.05, poison=0.0,
    learning_rate=None, reward_noise=None, ablations=(), policy="",
)  # fmt: skip


def without(setup, ablation):
    return replace(setup, ablations=(ablation,))


@pytest.fixture
def loaded(tmp_path):
    """A setup's settings, as the program reads them."""

    def read(setup):
        file = tmp_path / "driftmine.toml"
        file.write_text(settings_of(setup))
        return load(file)

    return read


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ablation", [None, *ABLATIONS])
def test_every_run_has_settings_that_are_accepted(loaded, method, ablation):
    setup = replace(SETUP, method=method)
    settings = loaded(without(setup, ablation) if ablation else setup)
    assert settings.training.method == method
    assert settings.training.seed == 3


def test_a_run_is_set_as_a_small_product_is(loaded):
    settings = loaded(replace(SETUP, learning_rate=2e-5, pairs=100))
    training = settings.training
    assert (training.policy, training.learning_rate) == ("/policies/tiny", 2e-5)
    assert (training.min_turns, training.max_turns) == (32, 100)
    assert (training.guided, training.draw_from) == (True, "policy")
    assert (training.selection.per_user, training.selection.per_cluster) == (1, 2)
    assert (settings.mining.max_per_user, settings.mining.max_per_prompt) == (20, 1)
    assert training.gate == GateOptions(max_dropped_share=0.5)
    assert training.stop == StopOptions()
    assert (training.beta, training.sft_weight, training.max_feedback_gain) == (0.3, 1.0, 1.0)
    assert settings.mining == MiningOptions()
    assert training.evaluation == EvaluationOptions(heldout_turns=64, canaries=64, answers=4)


def test_a_small_batch_needs_no_more_turns_than_it_holds(loaded):
    assert loaded(replace(SETUP, pairs=8)).training.needed_turns == 8


def differing(one, other):
    """Sections and keys of [mining] and [training] that are not the same."""
    pairs = [("mining", one.mining, other.mining), ("training", one.training, other.training)]
    found = set()
    for section, a, b in pairs:
        for key in type(a).__dataclass_fields__:
            if getattr(a, key) != getattr(b, key):
                found.add(f"{section}.{key}")
    return found


TAKEN = {
    "unguided": {"training.guided"},
    "from-base": {"training.draw_from"},
    "off-request": {"training.max_feedback_gain"},
    "perfect-detector": set(),  # no setting: the run puts it in the detector's place
    "no-gate": {"training.gate", "training.stop"},
    "no-threshold": {"mining.trainable_threshold"},
    "no-caps": {"mining.max_per_user", "mining.max_per_prompt", "training.selection"},
}


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_changes_what_it_names_and_nothing_else(loaded, ablation):
    assert differing(loaded(without(SETUP, ablation)), loaded(SETUP)) == TAKEN[ablation]


def test_what_ablations_set(loaded):
    assert loaded(without(SETUP, "unguided")).training.guided is False
    assert loaded(without(SETUP, "from-base")).training.draw_from == "base"
    assert loaded(without(SETUP, "off-request")).training.max_feedback_gain == 0
    assert loaded(without(SETUP, "no-threshold")).mining.trainable_threshold == 0
    assert loaded(without(SETUP, "no-gate")).training.stop.looks == 0
    free = loaded(without(SETUP, "no-caps"))
    assert (free.training.selection.per_user, free.training.selection.per_cluster) == (0, 0)
    assert min(free.mining.max_per_user, free.mining.max_per_prompt) == 10**6


def test_all_ablations_at_once_are_accepted(loaded):
    assert isinstance(loaded(replace(SETUP, ablations=ABLATIONS)).training, TrainingOptions)


def collapsed():
    """The worst figures that a candidate can have and still answer."""
    moved = Shift(
        pairs=1, accuracy=0.0, margin=-9.0, weight=1.0, open_share=1.0, chosen_change=-90.0,
        rejected_change=0.0,
    )  # fmt: skip
    worse = Interval(value=-90.0, low=-91.0, high=-90.0, n=9, clusters=9)
    names = ("format", "refusals", SATISFIED)
    return Metrics(
        pairs=moved, kl=1e6, kl_base=1e6, length_ratio=48.0, truncated_share=1.0,
        truncated_rise=1.0, distinct_share=0.0, win_rate=None, judged_by="", unjudged=0,
        slices=tuple(Slice(name=name, before=1.0, after=0.0, change=worse) for name in names),
    )  # fmt: skip


def decision(settings):
    limits = settings.training.gate
    return decide(collapsed(), dropped_share=1.0, cut_share=1.0, limits=limits)


def test_without_a_gate_everything_is_promoted(loaded):
    held = decision(loaded(SETUP))
    assert not held.promote
    assert len([check for check in held.checks if not check.ok]) >= 10
    free = decision(loaded(without(SETUP, "no-gate")))
    assert free.promote and free.reasons == ()
    assert math.isfinite(max(check.limit for check in free.checks))


UNLIKE = {
    "method": {"method": "spin"},
    "seed": {"seed": 4},
    "users": {"users": 200},
    "pairs": {"pairs": 96},
    "learning rate": {"learning_rate": 5e-5},
    "noise": {"behaviour": Behaviour(false_complaints=0.2, false_content=0.2)},
    "no noise": {"behaviour": Behaviour(false_complaints=0.0, false_content=0.0)},
    "poison": {"behaviour": Behaviour(hostile=0.1)},
    "more poison": {"behaviour": Behaviour(hostile=0.2)},
    "an ablation": {"ablations": ("no-gate",)},
    "two ablations": {"ablations": ("no-caps", "no-gate")},
}


def test_runs_that_differ_have_folders_of_their_own():
    names = [SETUP.name, *(replace(SETUP, **change).name for change in UNLIKE.values())]
    assert len({*names}) == len(names)
    assert all("/" not in name and " " not in name for name in names)


def test_more_nights_of_a_run_go_into_its_folder():
    assert replace(SETUP, nights=5).name == SETUP.name


NAMES = {
    "as usual": ({}, "drift-seed3"),
    "another rate": ({"learning_rate": 5e-5}, "drift-5e-05-seed3"),
    "everything": (
        {
            "ablations": ("no-caps",), "users": 200, "pairs": 96,
            "behaviour": Behaviour(false_complaints=0.2, false_content=0.2, hostile=0.1),
        },
        "drift-no-caps-users-200-pairs-96-noise-0.2-hostile-0.1-seed3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change, name", NAMES.values(), ids=NAMES)
def test_a_folder_says_what_is_not_as_usual(change, name):
    assert replace(SETUP, **change).name == name


def test_a_command_means_a_run_of_each_method_and_seed():
    setups = replace(ASKED, method=ALL, seeds=(0, 1)).setups("/shipped")
    assert [(s.method, s.seed) for s in setups] == [(m, seed) for m in METHODS for seed in (0, 1)]
    assert {s.policy for s in setups} == {"/shipped"}
    assert [s.learning_rate for s in setups] == [LEARNING_RATES[s.method] for s in setups]
    assert len({s.name for s in setups}) == 6


def test_what_a_command_says_arrives_in_the_run():
    (setup,) = replace(
        ASKED, noise=0.2, poison=0.1, learning_rate=5e-5, policy="/own",
        ablations=("no-gate", "no-caps", "no-gate"),
    ).setups("/shipped")  # fmt: skip
    behaviour = Behaviour(false_complaints=0.2, false_content=0.2, hostile=0.1)
    assert (setup.behaviour, setup.policy, setup.learning_rate) == (behaviour, "/own", 5e-5)
    assert setup.ablations == ("no-caps", "no-gate")


WRONG = {
    "a method": ({"method": "drfit"}, "--method drfit: no such name; did you mean drift?"),
    "an ablation": ({"ablations": ("nogate",)}, "--ablation nogate: .*did you mean no-gate?"),
    "nothing like it": ({"method": "zzz"}, "known: drift, iterdpo, spin, all"),
}


@pytest.mark.parametrize("change, says", WRONG.values(), ids=WRONG)
def test_unknown_names_are_refused(change, says):
    with pytest.raises(SettingsError, match=says.replace("?", r"\?")):
        replace(ASKED, **change).setups("/shipped")
