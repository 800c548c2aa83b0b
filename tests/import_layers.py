"""Reads the imports of a package, and reports those that its table of layers doesn't allow."""

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["forbidden_imports", "imported_modules", "layer_of", "unit_of"]


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full name of each module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            yield node.module or ""


def unit_of(module: str, layers: tuple[tuple[str, ...], ...]) -> str:
    """Return the entry of the table that a module belongs to: the longest that is a prefix of it."""
    units = [unit for layer in layers for unit in layer]
    own = [unit for unit in units if f"{module}.".startswith(f"{unit}.")]
    if not own:
        raise LookupError(f"{module} is in no layer: add it to the table")
    return max(own, key=len)


def layer_of(unit: str, layers: tuple[tuple[str, ...], ...]) -> int:
    """Return the number of a unit's layer, counted from the bottom."""
    return next(number for number, units in enumerate(layers) if unit in units)


def forbidden_imports(package: Path, layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Return each import between units that doesn't point to a lower layer."""
    found = []
    for path in sorted(package.rglob("*.py")):
        unit = unit_of(_module_name(path, package), layers)
        for target in imported_modules(path):
            if target != package.name and not target.startswith(f"{package.name}."):
                continue
            other = unit_of(target.removeprefix(package.name).lstrip(".") or "__init__", layers)
            if other != unit and layer_of(other, layers) >= layer_of(unit, layers):
                found.append(f"{path.relative_to(package)} imports {target}")
    return found


def _module_name(path: Path, package: Path) -> str:
    """Return the name of a file's module within its package; the package itself is ``__init__``."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
