"""From the chapters of the book to its website: run what has changed, check it, build the pages.

Read `chapters` first (which chapters there are), then `run_book` (run them) and `site` (build the
website). `run_book` runs each chapter with `execute`, if what it depends on has changed (`cache`).
`site` makes the page of a chapter with `chapter_page`, and what it replaces in the text of any page
is in `page_text`.
"""
