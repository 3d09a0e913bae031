"""A network from a name: registry, presets, families, training contract, weights, results, loading."""
