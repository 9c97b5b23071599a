#!/usr/bin/env python3
"""List circles of files within a crate, by the paths that each file imports.

Usage: module_cycles.py [--graph] [CRATE_FOLDER...], by default all crates of the workspace. Exits
with status 1 if there is a circle other than the accepted ones, or an accepted one that is gone.
Tests are left out. A file that only declares and re-exports modules counts as the files behind it.
"""

import os
import re
import sys
from pathlib import Path

PATH = re.compile(r"\b(crate|super|self)((?:::\w+)+)(?:::\{((?:[^{}]|\{[^{}]*\})*)\})?|\buse (crate|super)::\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")


# Accepted circles, each with its reason: types that contain each other.
ACCEPTED = {
    ("crates/domain/src", ("json/node", "json/object")): "an object has nodes, and a node may be an object",
}


def roots(crate):
    """Returns the source folder of a crate, and that of each program of several files."""
    source = Path(crate) / "src"
    return [source] + sorted(main.parent for main in source.glob("bin/*/main.rs"))


def load(root):
    """Returns the text of each module without comments and tests, by its path of names."""
    modules = {}
    for file in sorted(root.rglob("*.rs")):
        parts = file.relative_to(root).with_suffix("").parts
        if parts[-1] == "main" or "tests" in parts or parts[0] == "bin":
            continue
        text = re.sub(r"//.*", "", file.read_text())
        text = re.sub(r"#\[cfg\(test\)\]\s*(pub )?mod \w+\s*(;|\{.*)", "", text, flags=re.S)
        modules[() if parts == ("lib",) else parts] = text
    return modules


def leaves(tree, prefix=()):
    """Yields the paths of an import list such as `a::{b, c::{d, e}}, f`."""
    for item in split(tree):
        head, brace, rest = item.partition("{")
        names = tuple(n for n in head.split(" as ")[0].strip().strip(":").split("::") if n)
        if brace:
            yield from leaves(rest[: rest.rindex("}")], prefix + names)
        elif names:
            yield prefix + names


def split(text):
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def is_facade(text):
    rest = re.sub(r"#!?\[[^\]]*\]|(pub(\([^)]*\))? )?(mod \w+|use [^;]+);", "", text)
    return not rest.strip()


def imports(module, text):
    for found in PATH.finditer(text):
        anchor = found.group(1) or found.group(4)
        base = {"crate": (), "super": module[:-1], "self": module}[anchor]
        if found.group(5) is not None:
            yield from (base + path for path in leaves(found.group(5)))
            continue
        path = tuple(found.group(2).strip(":").split("::"))
        while path and path[0] == "super":
            base, path = base[:-1], path[1:]
        if found.group(3) is None:
            yield base + path
        else:
            yield from (base + path + leaf for leaf in leaves(found.group(3)))


def reexports(modules):
    """Returns, for each facade, the path behind each re-exported name."""
    found = {}
    for module, text in modules.items():
        if is_facade(text):
            names = {}
            for tree in re.findall(r"pub(?:\([^)]*\))? use ([^;]+);", text):
                for leaf in leaves(tree):
                    names[leaf[-1]] = module + leaf
            found[module] = names
    return found


def resolve(path, modules, facades):
    """Returns the module that has the item of a path; None for a facade itself."""
    for length in range(len(path), -1, -1):
        module = path[:length]
        if module not in modules:
            continue
        if module not in facades:
            return module
        name = path[length] if length < len(path) else None
        behind = facades[module].get(name)
        return resolve(behind, modules, facades) if behind else None
    return None


def children(module, text, modules):
    """Yields the paths of imports from submodules, which need no prefix."""
    for tree in re.findall(r"^\s*use (\w+::[^;\"]+);", text, re.M):
        for leaf in leaves(tree):
            if module + leaf[:1] in modules:
                yield module + leaf


def graph(modules):
    facades = reexports(modules)
    edges = {}
    for module, text in modules.items():
        if module in facades or module == ():
            continue
        targets = set()
        for path in [*imports(module, text), *children(module, text, modules)]:
            target = resolve(path, modules, facades)
            if target is not None:
                targets.add(target)
            elif path in facades and path:
                for name in re.findall(rf"\b{path[-1]}::(\w+)", text):
                    targets.add(resolve(path + (name,), modules, facades))
        edges[module] = {t for t in targets if t not in (None, module, ())}
    return edges


def circles(edges):
    """Returns the strongly connected components of more than one module (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in edges.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def workspace():
    """Returns the folders of all crates, relative to the current folder if it is the workspace."""
    folder = Path(os.path.relpath(Path(__file__).resolve().parents[1]))
    return sorted(file.parent for pattern in ("*", "crates/*") for file in folder.glob(f"{pattern}/Cargo.toml"))


def print_graph(edges):
    for module, targets in sorted(edges.items()):
        shown = ", ".join(sorted("/".join(target) for target in targets))
        print(f"{'/'.join(module)} -> {shown or '-'}")


def main(arguments):
    failed = False
    crates = [argument for argument in arguments if argument != "--graph"] or workspace()
    for root in [root for crate in crates for root in roots(crate)]:
        edges = graph(load(root))
        if "--graph" in arguments:
            print_graph(edges)
        found = {tuple("/".join(module) for module in circle) for circle in circles(edges)}
        accepted = {circle for (folder, circle) in ACCEPTED if root.as_posix().endswith(folder)}
        for circle in sorted(found - accepted):
            failed = True
            print(f"{root}: circle of {', '.join(circle)}: move what they share into a file of its own")
        for circle in sorted(accepted - found):
            failed = True
            print(f"{root}: no circle of {', '.join(circle)}: remove it from ACCEPTED")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
