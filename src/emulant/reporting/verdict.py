"""The verdict: for each surrogate, does it beat doing nothing, by how much, until when, and where does it fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from emulant.reporting.boards import DERIVED, Board, Meaning, Score
from emulant.reporting.numbers import interval, lead_text, number, percent

Tone: TypeAlias = Literal["good", "bad", "neutral"]
WORDS: Mapping[Tone, str] = {"good": "beats", "bad": "loses", "neutral": "unclear"}

MOST_NAMED = 6


@dataclass(frozen=True)
class Headline:
    """The metric that the verdict is about, and the unit of lead time."""

    metric: str
    meaning: Meaning
    time_unit: str = "s"

    @property
    def axis(self) -> str:
        """What stands beside an axis: the name with its unit."""
        return self.metric if self.meaning.unit in ("", "1") else f"{self.metric} / {self.meaning.unit}"

    def text(self, score: Score) -> str:
        return number(score.value, self.meaning.perfect)

    def with_interval(self, score: Score) -> str:
        return f"{self.text(score)} {interval(score.low, score.high, self.meaning.perfect)}".strip()


def verdicts(boards: Sequence[Board], headline: Headline) -> list[dict[str, Any]]:
    """One verdict per surrogate on the first board, best first: tone, word, skill, sentence and details."""
    if not boards:
        return []
    main = boards[0]
    ranked = main.ranked(headline.metric, headline.meaning, main.of_kind("surrogate"))
    return [_verdict(boards, model, headline) for model in ranked]


def lead(boards: Sequence[Board], headline: Headline) -> str:
    """The whole report in one sentence: does the best surrogate beat the best baseline, by how much, where not."""
    surrogates = boards[0].of_kind("surrogate") if boards else []
    if not surrogates:
        return "No surrogate was scored."
    main = boards[0]
    model = main.ranked(headline.metric, headline.meaning, surrogates)[0]
    best = main.best_baseline(headline.metric, headline.meaning)
    if best is None:
        return f"`{model}` has no baseline beside it, so its score says nothing yet."
    its_tone, where = tone(main, model, headline), title(main, headline.time_unit)
    if its_tone == "bad":
        return f"No surrogate beats the best baseline on {where}: `{best[0]}` is ahead of `{model}`, the closest one."
    skill = main.score(model, "skill")
    share = percent(skill.value) if skill else "an unknown share"
    if its_tone == "neutral":
        return f"`{model}` is ahead of the best baseline, `{best[0]}`, on {where}, but not clearly."
    said = f"`{model}` beats the best baseline by {share} of the gap to perfection on {where}"
    return f"{said}; {_shortcomings(boards, model, headline)}."


def _shortcomings(boards: Sequence[Board], model: str, headline: Headline) -> str:
    """Where a surrogate that wins on the first board does not."""
    main, others = boards[0], [board for board in boards[1:] if board.score(model, headline.metric)]
    families = [name for name in main.families if main.score(model, headline.metric, name)]
    lost = [family for family in families if tone(main, model, headline, family) == "bad"]
    lost += [title(board, headline.time_unit) for board in others if tone(board, model, headline) == "bad"]
    if not lost:
        counts = {"group": len(families), "further test": len(others)}
        places = [f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count]
        return f"it loses nowhere in {' and '.join(places)}" if places else "nothing else was tested"
    return f"it fails on {_listed(lost)}"


def title(board: Board, time_unit: str) -> str:
    """`test, cold start` or `test, start at 1 s`; `test` where there is no time."""
    if not board.horizons:
        return board.split
    return f"{board.split}, " + (f"start at {board.start} {time_unit}" if board.start else "cold start")


def tone(board: Board, model: str, headline: Headline, family: str = "all", horizon: str = "all") -> Tone:
    """How a surrogate stands against the best baseline of the same place.

    Worse than it on the mean is a loss, just as good is neither. Better is a win only if the interval of the skill
    lies above 0: the burden of proof is with the surrogate.
    """
    score = board.score(model, headline.metric, family, horizon)
    best = board.best_baseline(headline.metric, headline.meaning, family, horizon)
    if score is None or best is None:
        return "neutral"
    if not headline.meaning.beats(score.value, best[1].value):
        return "neutral" if score.value == best[1].value else "bad"
    skill = board.score(model, "skill", family, horizon)
    return "good" if skill is not None and skill.low > 0 else "neutral"


def beaten_by(board: Board, model: str, headline: Headline, family: str = "all") -> list[str]:
    """The baselines that a model does not beat, best first."""
    own = board.score(model, headline.metric, family)
    if own is None:
        return []
    rivals = {name: board.score(name, headline.metric, family) for name in board.of_kind("baseline")}
    ahead = {
        name: score.value
        for name, score in rivals.items()
        if score is not None and not math.isnan(score.value) and not headline.meaning.beats(own.value, score.value)
    }
    return sorted(ahead, key=lambda name: (headline.meaning.best_first(ahead[name]), name))


def _verdict(boards: Sequence[Board], model: str, headline: Headline) -> dict[str, Any]:
    main = boards[0]
    its_tone = tone(main, model, headline)
    own, skill = main.score(model, headline.metric), main.score(model, "skill")
    others = [board for board in boards[1:] if board.score(model, headline.metric)]
    details = [
        *_until_when(main, model, headline),
        *_where(main, model, headline),
        *(_elsewhere(board, model, headline) for board in others),
        *_diverged([main, *others], model, headline),
    ]
    return {
        "model": model,
        "tone": its_tone,
        "word": WORDS[its_tone],
        "cases": own.n if own else 0,
        "skill": number(skill.value, 1.0) if skill else "undefined",
        "skill_interval": interval(skill.low, skill.high, 1.0) if skill else "",
        "sentence": sentence(main, model, headline),
        "details": details,
    }


def sentence(board: Board, model: str, headline: Headline) -> str:
    """What a colleague would say about one surrogate, on one board, in one breath."""
    own = board.score(model, headline.metric)
    best = board.best_baseline(headline.metric, headline.meaning)
    if own is None:
        return f"`{model}` has no {headline.metric} score."
    if best is None:
        return f"`{model}` has no baseline beside it, so its score says nothing yet."
    name, rival = best
    compared = f"{headline.metric} {headline.with_interval(own)} against {headline.with_interval(rival)}"
    match tone(board, model, headline):
        case "good":
            skill = board.score(model, "skill")
            share = percent(skill.value if skill else math.nan)
            return (
                f"`{model}` beats the best baseline, `{name}`: {compared}. It closes {share} of the gap to perfection."
            )
        case "neutral":
            return f"`{model}` is ahead of the best baseline, `{name}`, but not clearly: {compared}."
        case _:
            ahead = beaten_by(board, model, headline)
            still = " Standing still is better." if "persistence" in ahead else ""
            return f"`{model}` loses to {_listed(ahead)}: {compared} (`{name}`).{still}"


def _until_when(board: Board, model: str, headline: Headline) -> list[dict[str, str]]:
    stands = {
        horizon: _stands(board, model, headline, horizon)
        for horizon in board.horizons
        if board.score(model, headline.metric, horizon=horizon)
    }
    if not stands:
        return []
    unit, first, last = headline.time_unit, next(iter(stands)), list(stands)[-1]
    its_tone: Tone = "bad" if "behind" in stands.values() else "good"
    if len(set(stands.values())) == 1:
        return [
            _detail(
                its_tone,
                "until when",
                f"{stands[first]} at every lead time, {lead_text(first)} to {lead_text(last)} {unit}",
            )
        ]
    parts: list[str] = []
    for word in ("ahead", "level", "behind"):
        if horizons := [horizon for horizon, stand in stands.items() if stand == word]:
            parts.append(f"{word} for {'lead times ' * (not parts)}{', '.join(map(lead_text, horizons))} {unit}")
    return [_detail(its_tone, "until when", "; ".join(parts))]


def _stands(board: Board, model: str, headline: Headline, horizon: str) -> Literal["ahead", "level", "behind"]:
    """Where a surrogate stands at a lead time; level where neither it nor the best baseline has failed yet, say."""
    own, best = (
        board.score(model, headline.metric, horizon=horizon),
        board.best_baseline(headline.metric, headline.meaning, horizon=horizon),
    )
    if own is not None and best is not None and own.value == best[1].value:
        return "level"
    return "behind" if tone(board, model, headline, horizon=horizon) == "bad" else "ahead"


def _where(board: Board, model: str, headline: Headline) -> list[dict[str, str]]:
    scores = {family: board.score(model, headline.metric, family) for family in board.families}
    known = {family: score for family, score in scores.items() if score is not None}
    if not known:
        return []
    lost = [family for family in known if tone(board, model, headline, family) == "bad"]
    if lost:
        where = "every group" if len(lost) == len(known) else f"{len(lost)} of {len(known)} groups: {_listed(lost)}"
        return [_detail("bad", "where", f"behind a baseline on {where}")]
    weakest = max(known, key=lambda family: (headline.meaning.best_first(known[family].value), family))
    text = f"weakest on `{weakest}`: {headline.metric} {headline.with_interval(known[weakest])}"
    return [_detail("good", "where", f"ahead on every group; {text}")]


def _elsewhere(board: Board, model: str, headline: Headline) -> dict[str, str]:
    own = board.score(model, headline.metric)
    best = board.best_baseline(headline.metric, headline.meaning)
    about = title(board, headline.time_unit)
    if own is None or best is None:
        return _detail("neutral", about, "no baseline beside it")
    phrases: Mapping[Tone, Callable[[str], str]] = {
        "good": lambda name: f"beats `{name}`",
        "bad": lambda name: f"loses to `{name}`",
        "neutral": lambda name: f"not clearly better than `{name}`",
    }
    its_tone = tone(board, model, headline)
    compared = f"{headline.metric} {headline.with_interval(own)} against {headline.with_interval(best[1])}"
    return _detail(its_tone, about, f"{phrases[its_tone](best[0])}: {compared}")


def _diverged(boards: Sequence[Board], model: str, headline: Headline) -> list[dict[str, str]]:
    shares = {title(board, headline.time_unit): board.score(model, "diverged") for board in boards}
    found = [f"{percent(score.value)} ({where})" for where, score in shares.items() if score and score.value > 0]
    worst = DERIVED["diverged"].meaning
    return [_detail("bad", "diverged", f"{worst}: {', '.join(found)}")] if found else []


def _detail(its_tone: Tone, about: str, text: str) -> dict[str, str]:
    return {"tone": its_tone, "about": about, "text": text}


def _listed(names: Sequence[str]) -> str:
    """Some names in a sentence, the first ones of many."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > MOST_NAMED:
        quoted = [*quoted[: MOST_NAMED - 1], f"{len(quoted) - MOST_NAMED + 1} more"]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
