"""Tell an iris by the size of its leaves: an op that loads a model once and uses it for every run.

The model is the simplest that deserves the name: labelled examples in a file, of which the nearest
decide. Put your own in `setup`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gyoza.op import Field, log, op

MODEL = Path(__file__).parent / "model.json"
Length = Annotated[float, Field(gt=0, le=30)]


@dataclass
class Answer:
    """What the model says.

    Attributes:
        species: The most likely species.
        confidence: The share of the nearest examples that are of this species, from 0 to 1.
    """

    species: str
    confidence: float


@op
class Classify:
    """Tell the species of an iris."""

    def setup(self) -> None:
        """Load the model: once for a container, before its first run."""
        self.examples = json.loads(MODEL.read_text(encoding="utf-8"))["examples"]
        log.info("model loaded", examples=len(self.examples))

    def run(
        self,
        sepal_length: Length,
        sepal_width: Length,
        petal_length: Length,
        petal_width: Length,
        neighbours: Annotated[int, Field(ge=1, le=15)] = 3,
    ) -> Answer:
        """Tell the species by the nearest examples.

        Args:
            sepal_length: Centimetres.
            sepal_width: Centimetres.
            petal_length: Centimetres.
            petal_width: Centimetres.
            neighbours: How many examples decide.
        """
        flower = (sepal_length, sepal_width, petal_length, petal_width)
        ranked = sorted(self.examples, key=lambda example: math.dist(flower, example["cm"]))
        votes = Counter(example["species"] for example in ranked[:neighbours])
        species, count = votes.most_common(1)[0]
        return Answer(species, count / neighbours)
