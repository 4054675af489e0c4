"""Data made from nothing: garments that are drawn, outfits and scenes that are composed of them by written rules."""
