"""Reporting: a run's scores, figures and films, summarised to a dictionary and rendered to one page.

::

    table.py        [report] of a study
    boards.py       the metrics frame as contests: a split and where its forecasts start
    summary.py      scores and facts -> the dictionary that is report.json
    comparison.py   several runs -> one dictionary
    markdown.py     either dictionary as Markdown
    page.py         that dictionary -> report.html, self-contained
    style.py        two themes, a look per model, figures written with the same bytes every time
    scoreboards.py  the tables of a report
    axes.py         axes of scores, ticks, intervals
    ladders.py      the figures of a contest: ladder, lead times, groups
    figures.py      figures that any system can use
    curves.py       the figure of a training
    films.py        truth | forecast | error, moving
"""
