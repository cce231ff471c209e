"""The contact graph: a graph network of what touches and what is tied."""
