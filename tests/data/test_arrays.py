"""fashionnb.data.arrays: what fits passes, and the message says what was wanted and what came."""

import numpy as np
import pytest

from fashionnb.data.arrays import check_array
from fashionnb.errors import DataError


def test_what_fits_passes():
    check_array(np.zeros((2, 5, 3), np.uint8), "x", ("n", "height", 3), np.uint8)
    check_array(np.zeros(4, np.int32), "x", ("n",), np.integer)
    check_array(np.zeros(0), "x", ("n",), np.floating)
    check_array(np.zeros((2, 2), bool), "x", ("height", "width"), np.bool_)


@pytest.mark.parametrize(
    ("array", "phrase"),
    [
        (np.zeros((2, 4)), r"Boxes: expected floating \(n, 3\), got float64 \(2, 4\)"),
        (np.zeros(3), r"got float64 \(3,\)"),
        (np.zeros((2, 3), int), r"got int64 \(2, 3\)"),
        (np.full((1, 3), np.nan), "Boxes: expected finite numbers"),
        (np.full((1, 3), np.inf), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(array, phrase):
    with pytest.raises(DataError, match=phrase):
        check_array(array, "Boxes", ("n", 3), np.floating)
