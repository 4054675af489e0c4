"""Outfits: questions, negatives, baselines, scores by any model, and suggestions from scores."""
