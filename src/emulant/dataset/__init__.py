"""Shards, manifests, seeds, atomic files and the seams that the other rooms meet at."""
