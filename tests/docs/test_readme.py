"""What README shows beside its code, which test_pages.py executes: faults of a study, links."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_faults_that_it_shows_are_those_that_are_told(tmp_path):
    from emulant import study as studies
    from emulant.errors import StudyError

    (shown,) = blocks("text")[:1]
    path = tmp_path / "mine.toml"
    path.write_text('[system]\nname = "swarm"\nsped = 1.0\nbc = "open"\n')
    with pytest.raises(StudyError) as caught:
        studies.load(path)
    assert sorted(str(caught.value).replace(str(path), "mine.toml").splitlines()) == sorted(shown.strip().splitlines())


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_its_links_lead_somewhere(target):
    assert (README.parent / target).exists()
