"""The run that the tests of files share."""

import pytest
from scenes_files import generated


@pytest.fixture(scope="session")
def scenes_run(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("scenes_files") / "run")
