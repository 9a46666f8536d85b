"""Modules as bytecode that is never checked against a source (PEP 552)."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import sys
from typing import Final

_UNCHECKED: Final = 0b01
"""PEP 552's flags: the hash of a source stands here, and is not to be checked."""

_CHARACTERS: Final = tuple(sys.intern(chr(number)) for number in range(256))
"""Python has each of these once, and marshal writes whether one is interned: now all are."""

_DOCSTRING: Final = "-"
"""A dataclass without a docstring writes one of its signature, for a tenth of a millisecond."""

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def bytecode(path: str, source: bytes, *, documented: bool) -> bytes:
    """Compile a module for this interpreter's minor version: the content of its .pyc file.

    Parameters
    ----------
    path
        In the zip; tracebacks show it.
    documented
        Whether docstrings are kept. Of libraries they are a third of the bytecode.

    Returns
    -------
    The same bytes for the same source, whatever this process has imported before.
    """
    tree = ast.parse(source, filename=path)
    if not documented:
        _undocument(tree)
    code = compile(tree, path, "exec", dont_inherit=True, optimize=0)
    return (
        importlib.util.MAGIC_NUMBER
        + _UNCHECKED.to_bytes(4, "little")
        + importlib.util.source_hash(source)
        + marshal.dumps(code)
    )


def cached(path: str) -> str:
    """Name the .pyc file beside a source that is kept: ``a/b.py`` -> ``a/__pycache__/b….pyc``."""
    folder, _, name = path.rpartition("/")
    cache = f"__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    return f"{folder}/{cache}" if folder else cache


def _undocument(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, _Documented):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            if len(node.body) == 1 and not isinstance(node, ast.Module):
                node.body[0] = ast.copy_location(ast.Pass(), node.body[0])
            else:
                del node.body[0]
        if isinstance(node, ast.ClassDef) and _is_dataclass(node):
            text = ast.Expr(ast.Constant(_DOCSTRING))
            node.body.insert(0, ast.fix_missing_locations(ast.copy_location(text, node.body[0])))


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
