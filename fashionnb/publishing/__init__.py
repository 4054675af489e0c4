"""From the chapters of the book to its website: run what has changed, check it, build the pages.

Read `chapters` first (which chapters there are), then `runner` (run them) and `site` (build the pages).
"""
