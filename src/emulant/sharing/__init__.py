"""Data and models as people pass them on: Parquet with a Hugging Face card or as Croissant, and model cards."""
