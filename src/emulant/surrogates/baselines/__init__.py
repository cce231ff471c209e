"""Forecasts that learn nothing, or next to nothing: what every surrogate has to beat."""
