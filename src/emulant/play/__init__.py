"""A local page on which one drives a trained surrogate against its simulator. Knows no physics: systems bring that."""
