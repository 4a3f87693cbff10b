"""Model: what is computed. A network describes; an engine or a stream holds its arrays."""
