"""The language of scenes: what a language model reads and says of them."""
