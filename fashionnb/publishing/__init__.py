"""From the chapters of the book to its website: run what has changed, check it, build the pages.

Read `chapters` first (which chapters there are), then `run_book` (run them) and `site` (build the
website). `run_book` runs each chapter with `run_chapter`, if anything that it depends on has
changed (`chapter_dependencies`). `site` makes the page of a chapter with `chapter_page`, and what
it replaces in the text of any page is in `site_markdown`.
"""
