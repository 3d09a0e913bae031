"""A network from a name: registry, presets, families, training contract, losses, weights, results, loading, runs."""
