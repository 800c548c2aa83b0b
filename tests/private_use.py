"""Finds the private names that other libraries define, and those that our code uses."""

import ast
import functools
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LIBRARIES", "defines", "private_uses"]

LIBRARIES = ("httpx", "httpcore", "h2", "asyncio", "aiohttp")


def defines(module: str, owner: str, name: str) -> bool:
    """Whether a class of a module defines a name; without an owner, whether the module does."""
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text())
    if not owner:
        return name in _top_level_names(tree)
    return any(name in _names_of(kind) for kind in _classes(tree) if kind.name == owner)


def private_uses(path: Path) -> set[str]:
    """Return the private names of the libraries that a file uses.

    These are names imported from a private module, attributes of anything but ``self`` and ``cls``,
    strings that equal such a name, and names that a class defines, reads or sets on itself if a
    library's class that it derives from, directly or through our own classes, has them too.
    """
    tree = ast.parse(path.read_text())
    private = frozenset.union(*(_private_names(library) for library in LIBRARIES))
    return {
        *_imported(tree),
        *(name for name in _attributes(tree) if name in private),
        *_inherited(tree),
    }


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_private_module(node.module or ""):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "") in LIBRARIES:
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))


def _is_private_module(module: str) -> bool:
    root, *rest = module.split(".")
    return root in LIBRARIES and any(part.startswith("_") for part in rest)


def _attributes(tree: ast.AST) -> Iterator[str]:
    excluded = set(_excluded_strings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _is_self(node.value):
            found = node.attr
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in excluded
        ):
            found = node.value
        elif isinstance(node, ast.keyword):
            found = node.arg or ""
        else:
            continue
        if _is_private(found):
            yield found


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


def _excluded_strings(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes in ``__slots__`` and in the rows of the table."""
    for node in ast.walk(tree):
        is_slots = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"
        is_row = isinstance(node, ast.Call) and ast.unparse(node.func) == "PrivateName"
        if is_slots or is_row:
            yield from ast.walk(node)


def _inherited(tree: ast.Module) -> Iterator[str]:
    for kind in _classes(tree):
        inherited = frozenset().union(*map(_names_in_library, _library_bases(kind, tree)))
        yield from _names_of(kind) & inherited


def _library_bases(kind: ast.ClassDef, tree: ast.Module) -> Iterator[str]:
    """Yield the classes of libraries, such as ``httpx.AsyncClient``, that a class derives from."""
    for base in kind.bases:
        name = ast.unparse(base)
        if name.partition(".")[0] in LIBRARIES:
            yield name
        else:
            for source in (tree, *_imported_trees(name, tree)):
                for own in _classes(source):
                    if own.name == name:
                        yield from _library_bases(own, source)


def _imported_trees(name: str, tree: ast.Module) -> Iterator[ast.Module]:
    """Yield the module of this package that a name was imported from, if it was."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            module = node.module or ""
            if module.startswith("typed_async_client."):
                yield ast.parse(Path(importlib.import_module(module).__file__ or "").read_text())


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


@functools.cache
def _names_in_library(kind: str) -> frozenset[str]:
    """Return the private names of a library's class and of its bases."""
    library, _, name = kind.partition(".")
    found: set[str] = set()
    for tree in _trees(library):
        for node in _classes(tree):
            if node.name == name:
                found |= _names_of(node)
                for base in node.bases:
                    if isinstance(base, ast.Name):
                        found |= _names_in_library(f"{library}.{base.id}")
    return frozenset(found)


@functools.cache
def _private_names(library: str) -> frozenset[str]:
    """Return every private name that a library defines, in a class or in a module."""
    found: set[str] = set()
    for tree in _trees(library):
        found |= {name for name in _top_level_names(tree) if _is_private(name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found |= _names_of(node)
    return frozenset(found)


@functools.cache
def _trees(library: str) -> tuple[ast.Module, ...]:
    """Parse a library, except the synchronous modules that httpcore generates."""
    spec = importlib.util.find_spec(library)
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return tuple(ast.parse(file.read_text()) for file in files if "_sync" not in file.parts)


def _names_of(kind: ast.ClassDef) -> set[str]:
    """Return the private names that a class defines, or uses on itself."""
    found = {
        node.name for node in kind.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for node in ast.walk(kind):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self", "super()"}:
            found.add(node.attr)
    return {name for name in found if _is_private(name)}


def _top_level_names(tree: ast.Module) -> set[str]:
    named = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, named)}


def _is_private(name: str) -> bool:
    return (
        name.startswith("_") and not name.startswith("__") and name.isidentifier() and name != "_"
    )
