"""The class is still a class: its test sets it up and calls it."""

from __future__ import annotations

import pytest
from classify import Answer, Classify


@pytest.fixture
def classify() -> Classify:
    model = Classify()
    model.setup()
    return model


def test_a_flower_with_small_petals_is_a_setosa(classify: Classify) -> None:
    assert classify.run(5.0, 3.4, 1.5, 0.2) == Answer("setosa", 1.0)


def test_the_confidence_is_the_share_of_the_neighbours_that_agree(classify: Classify) -> None:
    answer = classify.run(6.1, 2.8, 5.0, 1.7, neighbours=5)

    assert answer.species in {"versicolor", "virginica"}
    assert 0.5 < answer.confidence < 1
