"""What users call: estimators and baselines."""
