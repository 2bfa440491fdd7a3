"""What the tests of this room ask for."""

import pytest

from tests.training.support.random_classifier import Classifier, classifier


@pytest.fixture(scope="module", params=["bert", "xlm-roberta"])
def encoder(request: pytest.FixtureRequest) -> Classifier:
    return classifier(request.param)
