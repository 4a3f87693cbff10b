"""Learning: how weights are found."""
