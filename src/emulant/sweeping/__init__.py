"""Many runs of one study that differ in a few keys: a grid, or a search; compared on the validation split."""
