"""The double pendulum: its equations, its integration with a proven accuracy, and what forecasts it."""
