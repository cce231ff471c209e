"""From a physical simulator to a surrogate that can be trusted."""

__version__ = "0.1.0"
