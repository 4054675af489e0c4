"""Searching by picture: pictures to vectors, vectors to neighbours, neighbours to what a person sees.

`index` finds neighbours among any vectors; `engine` is the whole search, from a folder of pictures to a table of
results, with `gallery` and `stream` to read the pictures; `duplicates` looks for what is there twice.
"""
