"""The flags of `emulant export --format hf` and `--format croissant`."""

from __future__ import annotations

from emulant.dataset.tables import Table


class ShareOptions(Table):
    """What only the person who shares the data knows."""

    license: str = ""
    """SPDX name of the licence of the data, such as CC-BY-4.0; without it the card says that there is none."""
    title: str = ""
    """Of the card; by default the system and the name of the run."""


class HubOptions(ShareOptions):
    """What `--format hf` takes beside."""

    push: str = ""
    """Also upload the folder to this dataset repository, OWNER/NAME; needs a token of the Hugging Face Hub."""
    private: bool = False
    """Of a repository that `--push` makes."""
