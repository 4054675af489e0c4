"""Outfits: questions about them, negatives, baselines, a model as one scoring function, and what it can propose."""
