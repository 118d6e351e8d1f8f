import numpy as np
import pytest
import tensorflow as tf

from modnet_keras.data.whole_vectors import in_whole_vectors


@pytest.mark.parametrize("function", [tf.exp, tf.sigmoid])
@pytest.mark.parametrize("columns", [1, 3, 10, 17])
def test_a_number_does_not_depend_on_what_stands_beside_it(function, columns):
    numbers = np.random.default_rng(0).normal(size=(200, columns)).astype("float32")
    together = in_whole_vectors(function, tf.constant(numbers)).numpy()
    np.testing.assert_allclose(together, function(numbers), rtol=1e-6)
    for column in range(columns):
        alone = in_whole_vectors(function, tf.constant(numbers[:, [column]])).numpy()
        np.testing.assert_array_equal(together[:, [column]], alone)
    for row in range(0, 200, 23):
        alone = in_whole_vectors(function, tf.constant(numbers[[row]])).numpy()
        np.testing.assert_array_equal(together[[row]], alone)
