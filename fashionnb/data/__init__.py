"""The three types that carry all data (`catalogue`), one reader for each format, and what is done with images and
colours.

`fashionnb.datasets.load` opens a dataset by its name. `registry` knows which datasets there are and where they lie.
"""
