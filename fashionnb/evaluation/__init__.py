"""Metrics of embeddings, classifiers and outfit models, and intervals for them.

`retrieval`: whether the nearest neighbours of an item have its label. `clustering`: whether the
classes are apart. `projection`: what a 2-D map keeps. `classification` and `compatibility`: the
metrics of classifiers and of outfit models. `intervals`: how far a metric would move with other
data or another seed. `neighbours`: exact nearest neighbours, distances and the check of vectors.
They take arrays and import neither models nor datasets; `report`, which measures a whole
checkpoint, is the one exception.
"""
