"""Model: what is computed. It describes, and holds no arrays."""
