"""fashionnb.notebook.source: the code on the page is the code that runs."""

from fashionnb.notebook.source import source


class Greeter:
    """A class with two docstrings."""

    def greet(self, name: str) -> str:
        """Say hello.

        Over several lines.
        """
        return f"hello {name}"  # a comment says why


def test_source_is_the_code_without_its_docstrings():
    text = source(Greeter).data
    assert text.startswith("```python\nclass Greeter:")
    assert 'return f"hello {name}"  # a comment says why' in text
    assert "docstring" not in text
    assert "Over several" not in text


def test_what_is_left_is_still_python():
    code = source(Greeter).data.removeprefix("```python\n").removesuffix("\n```")
    namespace: dict = {}
    exec(code, namespace)
    assert namespace["Greeter"]().greet("you") == "hello you"
