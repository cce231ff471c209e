"""The surrogate `mixing` for host codes: C with its examples, ONNX, TorchScript; and the losses of a training."""
