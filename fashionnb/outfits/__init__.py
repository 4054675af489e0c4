"""Outfits: questions, baselines, scores by any model, and suggestions from scores."""
