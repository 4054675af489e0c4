"""The format of a results file, where `test_results` does not go through it anyway."""

import pytest
from pydantic import BaseModel

from fashionnb.errors import ResultError
from fashionnb.notebook import results_format


@pytest.mark.parametrize(
    "metric",
    [
        *(
            "recall@1",
            "recall@10",
            "precision@1",
            "map@r",
            "map@10",
            "mrr",
            "silhouette",
            "davies_bouldin",
            "fitb",
        ),
        *(
            "calinski_harabasz",
            "nmi",
            "ami",
            "trustworthiness",
            "knn_preservation",
            "images_per_second",
        ),
    ],
)
def test_known_metrics(metric):
    interval = {"low": 0.1, "high": 0.3, "how": "x"}
    row = results_format.Row(
        method="m", metric=metric, value=0.2, interval=interval, data="d", split="s", n=1
    )
    assert row.interval.level == 0.95


def test_checked_says_where_and_how_many():
    class Two(BaseModel):
        a: int
        b: int

    assert results_format.checked(Two, '{"a": 1, "b": 2}', "here").b == 2
    with pytest.raises(ResultError, match=r"^here: a: .*got 'x' \(and 1 more\)\.$"):
        results_format.checked(Two, {"a": "x", "b": "y"}, "here")
