import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.data.crops import centre_window, draw_window, random_resized_window

DRAWS = 4000


def torchvision_windows(height, width, area, aspect, seed):
    """torchvision's `RandomResizedCrop.get_params`, many times over: the definition."""
    random = np.random.default_rng(seed)
    windows = []
    for _ in range(DRAWS):
        for _ in range(10):
            target = height * width * random.uniform(*area)
            ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
            w = round(math.sqrt(target * ratio))
            h = round(math.sqrt(target / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = random.integers(0, height - h + 1)
                left = random.integers(0, width - w + 1)
                break
        else:
            w, h = width, height
            if width / height < aspect[0]:
                h = round(w / aspect[0])
            elif width / height > aspect[1]:
                w = round(h * aspect[1])
            top, left = (height - h) // 2, (width - w) // 2
        windows.append((top, left, h, w))
    return np.array(windows)


def windows_of(height, width, area, aspect, seed):
    seeds = tf.stack([tf.range(DRAWS), tf.fill([DRAWS], seed)], axis=1)
    draw = tf.function(
        lambda: tf.map_fn(
            lambda seed: random_resized_window(height, width, draw_window(seed), area, aspect),
            seeds,
            fn_output_signature=tf.TensorSpec([4], tf.int32),
        ),
        autograph=False,
    )
    return draw().numpy()


def largest_distance(first, second):
    """The two-sample Kolmogorov-Smirnov statistic."""
    values = np.union1d(first, second)
    shares = [np.searchsorted(np.sort(v), values, side="right") / len(v) for v in (first, second)]
    return np.abs(shares[0] - shares[1]).max()


@pytest.mark.parametrize(
    ("height", "width", "area", "aspect"),
    [
        (64, 64, (0.08, 1.0), (3 / 4, 4 / 3)),
        (375, 500, (0.08, 1.0), (3 / 4, 4 / 3)),
        (400, 100, (0.08, 1.0), (3 / 4, 4 / 3)),
        (30, 800, (0.08, 1.0), (3 / 4, 4 / 3)),
        (20, 1000, (0.9, 1.0), (3 / 4, 4 / 3)),
        (224, 224, (0.25, 0.25), (0.5, 2.0)),
    ],
)
def test_windows_are_distributed_as_torchvision_defines_them(height, width, area, aspect):
    given_windows = windows_of(height, width, area, aspect, seed=1)
    right_windows = torchvision_windows(height, width, area, aspect, seed=2)
    # 0.1 % of pairs of samples of one distribution are further apart.
    threshold = 1.95 * math.sqrt(2 / DRAWS)
    for measure in (
        lambda top, left, h, w: h * w,
        lambda top, left, h, w: w / h,
        lambda top, left, h, w: top,
        lambda top, left, h, w: left,
        lambda top, left, h, w: top / np.maximum(height - h, 1),
        lambda top, left, h, w: left / np.maximum(width - w, 1),
    ):
        distance = largest_distance(measure(*given_windows.T), measure(*right_windows.T))
        assert distance < threshold


def test_a_picture_too_wide_for_any_candidate_gives_its_centre():
    window = random_resized_window(20, 1000, draw_window([3, 4]), area=(0.9, 1.0)).numpy()
    assert window.tolist() == [0, 486, 20, 27]
    window = random_resized_window(1000, 20, draw_window([3, 4]), area=(0.9, 1.0)).numpy()
    assert window.tolist() == [486, 0, 27, 20]


def test_the_seed_fixes_the_window():
    draws = [
        tuple(random_resized_window(300, 400, draw_window([7, k])).numpy()) for k in (1, 1, 2, 3)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_many_pictures_at_once_give_the_windows_of_each():
    for count in (1, 2, 3, 7, 32, 33):
        heights, widths = np.random.default_rng(count).integers(1, 500, (2, count)).astype("int32")
        drawn = tf.stack([draw_window([count, number]) for number in range(count)])
        together = random_resized_window(heights, widths, drawn).numpy()
        each = list(zip(heights, widths, drawn, strict=True))
        alone = [random_resized_window(*one).numpy() for one in each]
        np.testing.assert_array_equal(together, alone)
        centres = [centre_window(*one[:2]).numpy() for one in each]
        np.testing.assert_array_equal(centre_window(heights, widths), centres)


WINDOW = tf.function(
    lambda height, width, seed: random_resized_window(height, width, draw_window(seed)),
    autograph=False,
    input_signature=[
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2], tf.int32),
    ],
)
SIDE = st.integers(1, 20000)
INT32 = st.integers(-(2**31), 2**31 - 1)


@settings(deadline=None, max_examples=300)
@given(SIDE, SIDE, st.tuples(INT32, INT32))
def test_a_window_lies_inside_the_picture(height, width, seed):
    for window in (WINDOW(height, width, seed), centre_window(height, width)):
        top, left, h, w = window.numpy()
        assert 0 <= top <= top + h <= height
        assert 0 <= left <= left + w <= width
        assert min(h, w) >= 1


def test_the_centre_window_is_what_resizing_to_256_and_cutting_224_takes():
    assert centre_window(256, 300).numpy().tolist() == [16, 38, 224, 224]
    assert centre_window(300, 256).numpy().tolist() == [38, 16, 224, 224]
    assert centre_window(1, 1).numpy().tolist() == [0, 0, 1, 1]
