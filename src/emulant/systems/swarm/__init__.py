"""The swarm: self-propelled particles (Vicsek), their density, and what forecasts it."""
