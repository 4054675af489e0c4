"""The text of a chapter that is as small as one can be."""

HEADER = """---
jupytext:
  formats: ipynb,md:myst
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""
CHAPTER = f"""{HEADER}
# A title

Text with $x^2$.

```{{code-cell}} ipython3
:tags: [parameters]

seed = 0
```

```{{code-cell}} ipython3
print(seed)
```

```{{code-cell}} ipython3
print(seed)
```
"""
