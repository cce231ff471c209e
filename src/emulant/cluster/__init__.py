"""A run on SLURM: scripts that a person can read and edit, their submission, the gate between them, their state."""
