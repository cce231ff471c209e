"""Rigid bodies in the plane: 35 kinds of scenes, simulated, stored, learned, continued."""
