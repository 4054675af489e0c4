"""From the chapters of the book to its website: run what has changed, check it, build the pages.

Read `chapters` first (which chapters there are), then `run_book` (run them) and `site` (build the
website). `run_book` runs each chapter with `run_chapter`, and that each notebook with
`execute_notebook`.
"""
