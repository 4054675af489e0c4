"""How good is an embedding? Numbers, each with an interval.

`retrieval` asks whether an item's neighbours are of its class, `clustering` whether the classes lie apart, `intervals`
how far a number would move with other data or another seed. They take arrays and know neither models nor datasets.
"""
