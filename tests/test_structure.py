"""The structure of the code: the order of the wings, their imports, the sizes of files, and names."""

import ast
import collections
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from helpers import ROOT, tracked

# Each wing may import the wings named here, the base that all use, and itself, but not in circles.
GROUND = {"arrays", "errors", "scaling", "state", "steps", "sums", "__init__"}
MAY = {
    "machine": set(),
    "nets": {"machine"},
    "pictures": {"machine"},
    "films": {"machine", "nets", "pictures"},
    "options": {"machine", "nets", "pictures", "films"},
    "jobs": {"machine", "nets", "pictures", "films"},
    "dispatch": {"machine", "nets", "pictures", "films", "options", "jobs"},
    "perform": {"machine", "nets", "pictures", "films", "options", "jobs", "dispatch"},
    "studio": {"machine", "nets", "pictures", "films", "options", "jobs", "perform"},
    "help": {"machine", "nets", "pictures", "films", "options", "jobs", "perform"},
    "farm": {"machine", "nets", "pictures", "films", "options", "jobs", "perform"},
}
WINGS = ("machine", "nets", "pictures", "films", "options", "jobs", "studio", "farm", "help")
LONG = {"deepdream"}  # the whole algorithm, with the meaning of each parameter


def module(path: Path) -> str:
    """The name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module(path): ast.parse(path.read_text())
         for path in [ROOT / "dreamify.py", *sorted((ROOT / "dreamer").rglob("*.py"))]}
PARTS = {name: tree for name, tree in TREES.items() if name != "dreamify"}
TRAINING = {path.stem: ast.parse(path.read_text()) for path in (ROOT / "models/daydream/train").glob("*.py")}
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py"))


def imported(tree: ast.Module, modules: Collection[str]) -> set[str]:
    """Names of all `modules` that a tree imports, anywhere in it. If it imports parts of a package, their names."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names} & set(modules)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.module
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                found |= {whole if whole in modules else node.module} & set(modules)
    return found


def graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """{module: the other modules that it imports}"""
    return {name: imported(tree, trees) for name, tree in trees.items()}


KNOWN = graph(TREES)


def wing(name: str) -> str:
    """The wing of a module; "ground" for the modules that all use, "dreamify" for the script."""
    parts = name.split(".")
    return ("dreamify" if parts[0] == "dreamify" else "ground" if len(parts) == 1 or parts[1] in GROUND else parts[1])


def circle(known: Mapping[str, set[str]]) -> list[str]:
    """The modules that import each other in a circle, and those that import them; empty if there is no circle."""
    rest = dict(known)
    while free := [name for name, others in rest.items() if not others & set(rest)]:
        for name in free:
            del rest[name]
    return sorted(rest)


# the order of the wings ----------------------------------------------------------------------------------

def test_every_file_is_in_a_wing() -> None:
    there = {path.parent.name for path in (ROOT / "dreamer").rglob("*.py")} - {"dreamer"}
    assert set(WINGS) <= there <= set(MAY)
    assert {path.stem for path in (ROOT / "dreamer").glob("*.py")} == GROUND | {"dispatch", "perform"}


@pytest.mark.parametrize("name", PARTS)
def test_imports_run_only_down(name: str) -> None:
    mine = wing(name)
    for other in KNOWN[name]:
        allowed = {"ground"} if mine == "ground" else MAY[mine] | {"ground", mine}
        assert wing(other) in allowed, f"{name} imports {other}"


def test_how_many_imports_there_are_and_that_none_runs_up() -> None:
    """Wings on the same floor do not import each other."""
    floor = {"ground": 0, "machine": 1, "nets": 2, "pictures": 2, "films": 3, "options": 4, "jobs": 4, "dispatch": 5,
             "perform": 6, "studio": 7, "help": 7, "farm": 7, "dreamify": 8}
    ways: collections.Counter[str] = collections.Counter()
    for name, others in KNOWN.items():
        for other in others:
            mine, theirs = wing(name), wing(other)
            ways["within" if mine == theirs else "down" if floor[mine] > floor[theirs] else "up"] += 1
    print(f"{sum(ways.values())} imports between {len(TREES)} modules: {dict(ways)}")
    assert ways["up"] == 0
    assert ways["down"] > 100


def test_nobody_knows_anybody_in_a_circle() -> None:
    assert circle(KNOWN) == []
    assert circle(graph(TRAINING)) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "d"]


def test_wings_know_each_other_in_no_circle() -> None:
    wings: dict[str, set[str]] = {}
    for name, others in KNOWN.items():
        wings.setdefault(wing(name), set()).update(wing(other) for other in others)
    assert circle({name: others - {name} for name, others in wings.items()}) == []


def test_every_wing_says_in_a_line_what_may_live_there() -> None:
    for folder in {path.parent for path in (ROOT / "dreamer").rglob("*.py")} - {ROOT / "dreamer"}:
        tree = ast.parse((folder / "__init__.py").read_text())
        assert len(tree.body) == 1, folder
        assert len((ast.get_docstring(tree, clean=False) or "").splitlines()) == 1, folder


def test_the_algorithm_can_be_read_in_one_sitting() -> None:
    text = (ROOT / "dreamify.py").read_text()
    algorithm = text.partition("- the algorithm\n")[2].partition("\n# -----")[0]
    assert "return dreamed" in algorithm
    assert len(algorithm.strip().splitlines()) <= 150


@pytest.mark.parametrize("name", PARTS)
def test_what_is_not_the_algorithm_knows_neither_it_nor_the_command_line(name: str) -> None:
    names = {alias.name for node in ast.walk(PARTS[name]) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(PARTS[name]) if isinstance(node, ast.ImportFrom)}
    assert not {"dreamify", "argparse"} & names


def test_what_understands_knows_nothing_of_what_dreams() -> None:
    """read → understand → dream → write: checking a request does not load Caffe."""
    below, more = set(), {"dreamer.options.understand"}
    while more:
        below |= more
        more = set().union(*(KNOWN[name] for name in more)) - below
    assert not [name for name in below if wing(name) in ("jobs", "dispatch", "perform")]


def test_every_part_is_of_use() -> None:
    known = set().union(*KNOWN.values())
    packages = {name for name in PARTS if any(other.startswith(f"{name}.") for other in PARTS)}
    run = {"dreamer.nets.fetch", "dreamer.machine.spdx"}  # by provision.sh and release.sh
    assert set(PARTS) - known - packages <= run


# size and names ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", TREES)
def test_no_function_is_long(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in LONG:
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, (name, node.name)


def defined(tree: ast.Module) -> list[str]:
    """Names of all functions, methods and classes of a module, nested ones too."""
    return [node.name for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


@pytest.mark.parametrize("word", ["check_output", "plan", "planes"])
def test_a_word_does_not_stand_for_several_things(word: str) -> None:
    named = [name for name in TREES if name.split(".")[-1] == word]
    named += [name for name, tree in TREES.items() for other in defined(tree) if other == word]
    assert len(named) <= 1, named


def test_no_part_of_ours_is_called_by_another_name() -> None:
    """No `import x as y` of our own modules or their contents; not in the tests and the training either."""
    trees = {ROOT / (name.replace(".", "/") + ".py"): tree for name, tree in TREES.items()}
    trees |= {path: ast.parse(path.read_text()) for path in [*TESTS, *(ROOT / "models/daydream/train").glob("*.py")]}
    ours = {"dreamify", "dreamer", *TRAINING, *(path.stem for path in TESTS)} - {"commands"}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    origin = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
                    assert alias.asname is None or origin.split(".")[0] not in ours, (str(path), ast.unparse(node))


# the tests -----------------------------------------------------------------------------------------------

def test_a_room_has_its_tests_where_its_wing_is() -> None:
    rooms = {(wing(name), name.split(".")[-1]) for name in PARTS}
    for path in (ROOT / "tests/wings").rglob("*.py"):
        assert (path.parent.name, path.stem.removeprefix("test_")) in rooms, path
        assert path.name.startswith("test_"), path


def test_no_test_file_imports_another() -> None:
    files = {path.stem: ast.parse(path.read_text()) for path in TESTS if path.stem.startswith("test_")}
    assert {name for name, tree in files.items() if imported(tree, files)} == set()


def test_no_two_test_files_are_called_nearly_alike() -> None:
    """And no two are the same: pytest would confuse them."""
    names = [re.sub(r"s\b|s(?=_)", "", path.stem) for path in TESTS if path.stem.startswith("test_")]
    assert [name for name, count in collections.Counter(names).items() if count > 1] == []


def test_what_is_named_in_words_is_there() -> None:
    """Files and parts of the project that are named in docstrings, comments and texts exist."""
    for path in tracked("*.py", "*.sh", "*.md", "*.toml", "Dockerfile"):
        if path.name == "CHANGELOG.md":  # because it describes the past
            continue
        text = path.read_text()
        for name in re.findall(r"(?<![\w/.-])(?:dreamer|tests|native)/[\w/-]+\.(?:py|sh|cpp|md)\b", text):
            assert (ROOT / name).exists() or (path.parent / name).exists(), (str(path), name)
        for name in re.findall(r"(?<![\w/.\"-])dreamer(?:\.\w+)+(?![\w/(])", text):
            parts = name.split(".")
            at = max(number for number in range(1, len(parts) + 1) if ".".join(parts[:number]) in PARTS)
            inside = PARTS[".".join(parts[:at])]
            there = {*defined(inside), *(target.id for node in ast.walk(inside) if isinstance(node, ast.Assign)
                                         for target in node.targets if isinstance(target, ast.Name))}
            assert at == len(parts) or parts[at] in there, (str(path), name)
