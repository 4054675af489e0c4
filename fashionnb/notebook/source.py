"""Show the source code of a package function on a page.

The page prints the code that it runs, so that text and code always agree.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown


def source(thing: Callable) -> Markdown:
    """Show the source code of a function or class of the package on a page.

    Docstrings are left out: the text of the page explains the code, and the API reference has them.

    Parameters
    ----------
    thing : callable
        A function or a class.

    Returns
    -------
    Markdown
        A block of highlighted code.
    """
    code = textwrap.dedent(inspect.getsource(thing))
    lines = code.splitlines()
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, documented) and ast.get_docstring(node)
    ]
    for text in sorted((node.body[0] for node in nodes), key=lambda text: -text.lineno):
        del lines[text.lineno - 1 : text.end_lineno]
    return Markdown("```python\n" + "\n".join(lines).strip() + "\n```")
