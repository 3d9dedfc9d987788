"""One run of each recipe for all tests of models that leave the suite."""

import pytest
from trained import trained


@pytest.fixture(scope="session")
def run_of(tmp_path_factory, tone_corpus, tone_data):
    """A function that gives the folder of a run of a recipe, trained when it is first asked for. Read only."""
    made = {}

    def of(recipe: str):
        if recipe not in made:
            made[recipe] = trained(tmp_path_factory.mktemp(recipe), tone_corpus, tone_data, recipe=recipe)
        return made[recipe]

    return of
