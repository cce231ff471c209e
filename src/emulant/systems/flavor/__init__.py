"""Fast flavor instability of neutrinos in one cell of a merger or supernova simulation."""
