"""The figures of a flavor report: how far every model is from Box3D, and where it errs."""
