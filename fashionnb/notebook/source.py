"""The source of a helper, shown on the page as it is installed.

Text and code cannot drift apart when the page prints the code it runs.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown


def source(thing: Callable, docstring: bool = False) -> Markdown:
    """Show the source of a function or class as highlighted code, without its docstrings unless asked for.

    Introduced in chapter 02. Docstrings are in the API reference; on a page the text around the code explains it.
    """
    code = textwrap.dedent(inspect.getsource(thing))
    lines = code.splitlines()
    if not docstring:
        documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        nodes = [
            node
            for node in ast.walk(ast.parse(code))
            if isinstance(node, documented) and ast.get_docstring(node)
        ]
        for text in sorted((node.body[0] for node in nodes), key=lambda text: -text.lineno):
            del lines[text.lineno - 1 : text.end_lineno]
    return Markdown("```python\n" + "\n".join(lines).strip() + "\n```")
