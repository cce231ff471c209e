"""The run folder: the name of everything in it, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The paths below one run; nothing is created by naming it."""

    root: Path
    scores: str = "evaluation"
    """Where scores and predictions lie; those on another split than the test splits lie in a place of their own."""

    @property
    def study(self) -> Path:
        return self.root / "study.toml"

    def split(self, name: str) -> Path:
        return self.root / name

    @property
    def models(self) -> Path:
        return self.root / "models"

    def model_card(self, name: str) -> Path:
        return self.models / name / "model.json"

    def model_readme(self, name: str) -> Path:
        """The same for people, with its scores and limits."""
        return self.models / name / "README.md"

    @property
    def metrics(self) -> Path:
        return self.root / self.scores / "metrics.csv"

    @property
    def case_scores(self) -> Path:
        return self.root / self.scores / "cases.csv"

    @property
    def evaluation_card(self) -> Path:
        return self.root / self.scores / "evaluation.json"

    def predictions(self, model: str) -> Path:
        return self.root / self.scores / "predictions" / model

    def probe(self, model: str, split: str) -> Path:
        return self.root / self.scores / "probes" / model / f"{split}.npz"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def report_json(self) -> Path:
        return self.root / "report.json"

    @property
    def report_markdown(self) -> Path:
        return self.root / "report.md"

    @property
    def report_html(self) -> Path:
        return self.root / "report.html"

    @property
    def events(self) -> Path:
        return self.root / "logs" / "events.jsonl"

    def curves(self, model: str) -> Path:
        """The training curves of a network: a row an epoch."""
        return self.root / "logs" / model / "metrics.csv"

    @property
    def slurm(self) -> Path:
        return self.root / "slurm"

    @property
    def jobs(self) -> Path:
        return self.slurm / "jobs.tsv"

    def derived(self) -> tuple[Path, ...]:
        """What follows from the data and can be made again."""
        return (self.models, self.root / "evaluation", self.figures, self.report_json, self.report_html)
