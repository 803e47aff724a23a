"""How the parts hang together: who knows whom, and how large they are."""

import ast

import pytest

from conftest import ROOT

MODULES = {path.stem: ast.parse(path.read_text()) for path in (ROOT / "dreamer").glob("[!_]*.py")}
LONG = {"deepdream"}  # the algorithm from one end to the other, and what each of its parameters means


def imported(node):
    """Names of all modules that are imported anywhere in it, of a package's parts as package.part; but for those that
    only the types of parameters need."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
        yield from (f"{node.module}.{name.name}" for name in node.names)
    elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


KNOWN = {name: {part.split(".")[1] for part in imported(tree) if part.startswith("dreamer.")} & set(MODULES)
         for name, tree in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_not_the_algorithm_knows_neither_it_nor_the_command_line(name):
    assert not {"dreamify", "argparse"} & set(imported(MODULES[name]))


def test_nobody_knows_anybody_in_a_circle():
    rest = dict(KNOWN)
    while rest:
        free = [name for name, known in rest.items() if not known & set(rest)]
        assert free, f"a circle among {sorted(rest)}"
        for name in free:
            del rest[name]


def test_only_the_script_performs():
    """read → plan → dream → write: what reads and plans knows nothing of what dreams and writes after it."""
    assert not any({"perform", "understand"} & known for known in KNOWN.values())
    assert not {"job", "film", "net"} & set().union(*(KNOWN[name] for name in ("places", "plan", "understand")))


def test_every_part_is_of_use():
    known = set().union(*KNOWN.values(), {part.split(".")[1] for part in imported(
        ast.parse((ROOT / "dreamify.py").read_text())) if part.startswith("dreamer.")})
    assert set(MODULES) - known <= {"fetch"}  # which provision.sh runs


@pytest.mark.parametrize("path", [ROOT / "dreamify.py", *sorted((ROOT / "dreamer").glob("*.py"))], ids=lambda p: p.name)
def test_no_function_is_long(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name not in LONG:
            assert node.end_lineno - node.lineno < 50, (path.name, node.name)
