"""The web demo: similar garments for a photo, garments that complete a look, scores for outfits.

`fashionnb demo` serves it. `backend` computes the answers, with outfits scored by
`rule_based_scorer`; `gradio_page` is the page, `web_app` what is answered on the web, `photo_store`
the uploads, `server` serves it all safely, and `screenshots` takes the book's pictures of it.
"""
