"""`multitask`: a network with a shared trunk and a head for each of stability, growth, densities and fluxes."""
