import subprocess
import sys

import pytest

from modnet_keras.errors import CallError
from modnet_keras.models import build_model, resnet
from modnet_keras.training.optimizers import assign_rates, compile_model, freeze
from modnet_keras.training.strategies import FROZEN, STRATEGIES, Row, Strategy, get_strategy

LEVELS = [2, 3, 4, 5]
STATISTICS = ("moving_mean", "moving_variance")

# The multiplier of each old part, written out; the newest stage and the head always learn at 1.
LAYERWISE = {
    2: {"stem": 0.4, "stage_1": 0.4, "stage_2": 0.65},
    3: {"stem": 0.4, "stage_1": 0.4, "stage_2": 0.65, "stage_3": 0.825},
    4: {"stem": 0.4, "stage_1": 0.4, "stage_2": 0.65, "stage_3": 23 / 30, "stage_4": 53 / 60},
    5: {
        "stem": 0.4,
        "stage_1": 0.4,
        "stage_2": 0.65,
        "stage_3": 0.7375,
        "stage_4": 0.825,
        "stage_5": 0.9125,
    },
}


@pytest.fixture(scope="module")
def models():
    """A thin network of each level: what a table covers does not depend on the width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet, "STEM_FILTERS", 1)
        return {level: build_model(level, 32) for level in [1, *LEVELS]}


def rates_by_part(model, strategy):
    """From (part, whether it is a statistic) to the set of its weights' rates."""
    level = sum(part.name.startswith("stage_") for part in model.layers) - 1
    rates = assign_rates(model, get_strategy(strategy).table(level))
    assert rates.keys() == {weight.path for weight in model.weights}
    found = {}
    for part in model.layers[1:]:
        for weight in part.weights:
            key = part.name, weight.name in STATISTICS
            found.setdefault(key, set()).add(rates[weight.path])
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_covers_every_weight_exactly_once(models, strategy, level):
    rows = get_strategy(strategy).table(level)
    assert len({row.pattern for row in rows}) == len(rows)
    assert len(assign_rates(models[level], rows)) == len(models[level].weights)


@pytest.mark.parametrize("level", LEVELS)
def test_layerwise_by_hand(models, level):
    expected = LAYERWISE[level] | {f"stage_{level + 1}": 1.0, "head": 1.0}
    for (part, _), rates in rates_by_part(models[level], "layerwise").items():
        assert len(rates) == 1
        assert rates.pop() == pytest.approx(expected[part], abs=1e-12), part


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("strategy", "of_old_weights", "of_old_statistics"),
    [
        ("scratch", 1.0, 1.0),
        ("scratch-long", 1.0, 1.0),
        ("finetune", 1.0, 1.0),
        ("frozen", FROZEN, FROZEN),
        ("frozen-weights", FROZEN, 1.0),
    ],
)
def test_rates_by_hand(models, level, strategy, of_old_weights, of_old_statistics):
    newest = {f"stage_{level + 1}", "head"}
    for (part, is_statistic), rates in rates_by_part(models[level], strategy).items():
        of_old = of_old_statistics if is_statistic else of_old_weights
        assert rates == {1.0 if part in newest else of_old}, part


def test_a_root_is_covered_by_scratch(models):
    assert set(assign_rates(models[1], get_strategy("scratch").table(1)).values()) == {1.0}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (Row("(stem|stage_[12]|head)_.*", 1.0), r"stage_3_block_1_conv_1/kernel by none"),
        (Row("(stem|stage_.|head)_.*/(kernel|gamma|beta|bias)", 1.0), "stem_norm/moving_mean by n"),
        (Row("stem", 1.0), "stem_conv/kernel by none"),
    ],
)
def test_an_uncovered_weight_is_refused(models, row, told):
    with pytest.raises(ValueError, match=told):
        assign_rates(models[2], [row])


def test_a_doubly_covered_weight_is_refused(models):
    rows = [Row(".*", 1.0), Row("head_.*", 1.0)]
    with pytest.raises(ValueError, match=r"head_logit/bias by \['\.\*', 'head_\.\*'\]") as caught:
        assign_rates(models[2], rows)
    assert "stem_conv" not in str(caught.value)


def test_a_row_must_match_the_whole_path(models):
    assert assign_rates(models[2], [Row("head_logit/bias", 0.5), Row(".*(?<!bias)", 1.0)])[
        "head_logit/bias"
    ] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("head_logit/kernel", "a layer is frozen as a whole. Received: layer head_logit"),
        ("stem_norm/moving_.*", "frozen statistics need a frozen scale.*layer stem_norm"),
        ("stem_norm/(gamma|beta|moving_mean)", "frozen statistics need.*layer stem_norm"),
    ],
)
def test_what_keras_cannot_freeze_is_refused(models, pattern, told):
    rows = [Row(pattern, FROZEN), Row(f"(?!{pattern}$).*", 1.0)]
    with pytest.raises(ValueError, match=told):
        freeze(models[2], assign_rates(models[2], rows))


def test_a_new_strategy_is_one_entry(models, monkeypatch):
    slow_stem = Strategy(
        "the stem learns slowly", True, lambda level: [Row("stem_.*", 0.1), Row("(?!stem_).*", 1.0)]
    )
    monkeypatch.setitem(STRATEGIES, "slow-stem", slow_stem)
    model = compile_model(models[3], "slow-stem", steps_per_epoch=2, epochs=2)
    assert [part.name for part in model.optimizer.optimizers] == ["rate_0.1", "rate_1"]


def test_an_incomplete_strategy_is_refused_before_anything_changes(models, monkeypatch):
    stem_only = Strategy("the stem alone", True, lambda level: [Row("stem_.*", FROZEN)])
    monkeypatch.setitem(STRATEGIES, "stem-only", stem_only)
    trainable = [weight.path for weight in models[4].trainable_weights]
    with pytest.raises(ValueError, match="exactly one row"):
        compile_model(models[4], "stem-only", steps_per_epoch=2, epochs=2)
    assert [weight.path for weight in models[4].trainable_weights] == trainable


def test_the_catalogue():
    takes_over = {name for name, strategy in STRATEGIES.items() if strategy.takes_over}
    assert takes_over >= {"finetune", "layerwise", "frozen", "frozen-weights"}
    assert STRATEGIES.keys() - takes_over >= {"scratch", "scratch-long"}
    assert STRATEGIES["scratch-long"].at_equal_compute


def test_an_unknown_strategy_is_refused_with_the_nearest():
    with pytest.raises(CallError, match="strategy 'frozn' is not known.*did you mean 'frozen'"):
        get_strategy("frozn")


def test_strategies_are_known_without_tensorflow():
    script = (
        "import sys, modnet_keras.training.strategies\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
