"""Evaluation: forecasts from a cut context, scores against lead time, intervals, skill against the best baseline.

It knows no physics: fields, frames, cases and groups of cases are all that it sees. Read it in this order:
`table` (what a study may ask for), `forecasts`, `metrics`, `confidence`, `scores`.
"""
