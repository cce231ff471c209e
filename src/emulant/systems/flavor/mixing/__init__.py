"""Mixing prescriptions: from the four-fluxes of a cell to those after the instability, physical by construction.

    cells       a cell as angular distributions on a grid of its own frame
    crossings   where the lepton-number difference of two flavors changes sign, thin crossings included
    selection   which pairs of flavors are worth working out, and the way back
    shapes      what about a crossing decides the outcome, as numbers that turn with nothing
    exchange    how far each direction mixes, balanced, and the change of the four-fluxes that follows
    prescription  the way through them

Every function takes the namespace `xp` that its arrays are of, numpy or torch: what predicts, what is trained, what is
traced for an export and what the exported C is tested against are then one text. Only names and keywords that both
have are used; torch takes numpy's `axis` and `keepdims`.
"""
