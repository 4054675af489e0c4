"""Images to vectors, computed once and kept on disk."""
