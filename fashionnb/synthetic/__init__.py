"""Synthetic data: drawn garments, and outfits and scenes composed by written rules."""
