"""fashionnb: the package behind the book on fashion embeddings.

Importing it is light (no torch, no pandas): heavy libraries are imported by the modules that use them.
Start with `fashionnb.datasets.load`, or with chapter 01 of the book.
"""

__version__ = "0.1.0"
