"""The layers of the code: who imports whom, and what stays out of which folder."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import mstool
from mstool.cli import VERBS

PACKAGE = Path(mstool.__file__).parent
JUDGEMENTS = ("shift", "explanations", "reports")  # are made of scores
SUBJECTS = (
    "design",
    "geometry",
    "labels",
    "phantoms",
    "scores",
    "splits",
    "stereology",
    "pictures",
)
CHANCE = ("chance",)  # intervals and permutations of anything, which all the others use
TOPICS = (*JUDGEMENTS, *SUBJECTS, *CHANCE)
LAYERS = (  # a module imports from layers below its own, and from its own folder
    ("__main__",),
    ("cli",),
    ("commands",),
    ("pipeline",),
    ("nn",),
    ("micrographs",),
    JUDGEMENTS,
    SUBJECTS,
    CHANCE,
    ("io",),
    ("reporting",),
    ("stopping",),
    ("errors",),
)
ALLOWED = {("io/tiles.py", "mstool.geometry.window")}  # the window is how io says where
NETWORKS = {"torch", "torchvision", "segmentation_models_pytorch", "timm", "safetensors", "captum"}
OUTSIDE = {"os", "pathlib", "time", "datetime", "rich", "typer", "shutil", "tempfile", "sys"}
WRITERS = {"pictures/save.py"}  # the one topic module that is there to write files
MAX_BODY, MAX_COMMAND_BODY = 60, 40
LONG_COMMANDS = {"commands/explain.py", "commands/score.py"}  # hand on more flags than that

MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in MODULES
}


def folder_of(name):
    """Folder of a module, or its own name: ``io/tiles.py`` gives io, ``cli.py`` gives cli."""
    return name.split("/")[0].removesuffix(".py")


def layer_of(folder):
    return next(number for number, names in enumerate(LAYERS) if folder in names)


def imports_of(name):
    """Every module that a module imports, at the top or inside functions, with the line."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: imports are absolute"
            if node.module == "mstool":
                yield from ((f"mstool.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def functions_of(name):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(TREES[name]) if isinstance(node, kinds)]


def calls_of(name, function):
    """Lines on which a module calls a function by its bare name."""
    return [
        node.lineno
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function
    ]


def body_length(function):
    """Lines of a function without signature and docstring."""
    body = function.body
    has_docstring = ast.get_docstring(function) is not None
    statements = body[1:] if has_docstring else body
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0


def public_definitions(node, prefix=""):
    """Functions, classes and methods that others may use; not those inside functions."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from public_definitions(child, f"{child.name}.")


def test_every_module_has_a_layer():
    known = {name for names in LAYERS for name in names} | {"__init__"}
    assert {folder_of(name) for name in TREES} <= known


def test_module_names_are_unique():
    """A verb has a file in commands and one in pipeline; every other name stands for one thing."""
    verbs = {verb.replace("-", "_") for verb in VERBS}
    names = Counter(Path(name).stem for name in TREES if not name.endswith("__init__.py"))
    assert {name for name, n in names.items() if n > 1} <= verbs


@pytest.mark.parametrize("name", TREES)
def test_imports_point_down(name):
    folder = folder_of(name)
    if folder == "__init__":
        assert not list(imports_of(name))
        return
    wrong = []
    for module, line in imports_of(name):
        parts = module.split(".")
        if parts[0] != "mstool" or len(parts) == 1 or (name, module) in ALLOWED:
            continue
        is_own = parts[1] == folder
        if not is_own and layer_of(parts[1]) <= layer_of(folder):
            wrong.append(f"{name}:{line}: {folder} imports {module}")
    assert not wrong


@pytest.mark.parametrize("name", TREES)
def test_networks_stay_in_nn(name):
    if folder_of(name) == "nn":
        return
    wrong = [
        f"{name}:{line}: imports {module}"
        for module, line in imports_of(name)
        if module.split(".")[0] in NETWORKS
    ]
    assert not wrong


@pytest.mark.parametrize("name", [name for name in TREES if folder_of(name) in TOPICS])
def test_topics_touch_no_file_clock_or_terminal(name):
    wrong = [
        f"{name}:{line}: imports {module}"
        for module, line in imports_of(name)
        if module.split(".")[0] in OUTSIDE or module == "mstool.reporting"
    ]
    wrong += [f"{name}:{line}: opens a file" for line in calls_of(name, "open")]
    if name in WRITERS:
        assert wrong, f"{name} writes no files; take it off WRITERS"
    else:
        assert not wrong


@pytest.mark.parametrize("name", TREES)
def test_functions_are_short(name):
    is_command = folder_of(name) == "commands" and name not in LONG_COMMANDS
    most = MAX_COMMAND_BODY if is_command else MAX_BODY
    long = [
        f"{name}:{function.lineno}: {function.name} has {body_length(function)} lines"
        for function in functions_of(name)
        if body_length(function) > most
    ]
    assert not long


@pytest.mark.parametrize("name", TREES)
def test_public_names_have_docstrings(name):
    bare = [
        f"{name}:{node.lineno}: {label}"
        for label, node in public_definitions(TREES[name])
        if not ast.get_docstring(node)
    ]
    assert ast.get_docstring(TREES[name]), f"{name}: the module says nothing about itself"
    assert not bare


def test_only_the_reporter_prints():
    printing = {name for name in TREES if calls_of(name, "print")}
    assert printing == {"reporting.py"}


def test_exceptions_are_still_needed():
    for name, module in ALLOWED:
        assert module in [imported for imported, _ in imports_of(name)]
    for name in LONG_COMMANDS:
        assert max(map(body_length, functions_of(name))) > MAX_COMMAND_BODY
