"""Search and recommendation: pictures, their nearest neighbours, and reasons.

`index` finds nearest neighbours among any vectors; `engine` is the whole visual search, from a
folder of pictures to a table of results; `recommend` adds attributes and reasons; `duplicates`
finds items that are in a catalogue twice.
"""
