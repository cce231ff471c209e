"""The one training loop of all networks.

`emulant.training.table` and `emulant.training.workshop` are what a study and a stage need, and import no torch;
`emulant.training.loop` trains.
"""
