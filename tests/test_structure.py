"""The package's way through is one way: a module imports only what stands before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import modnet_keras

PACKAGE = Path(modnet_keras.__file__).parent
ORDER = [
    "convolutions",
    "errors",
    "files",
    "loading",
    "quiet",
    "templates",
    "version",
    "tasks",
    "data",
    "models",
    "training",
    "studies",
    "reports",
]
ORDER += ["serving", "api", "tools"]
HEAVY = ("tensorflow", "keras")


def imported_parts(file):
    """First parts below modnet_keras of every import in a file, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "modnet_keras":
                names = [f"modnet_keras.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value.split(":")[0]]  # modules that are named to be loaded later
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "modnet_keras" and len(parts) > 1 and parts[1] in ORDER:
                yield parts[1]


def test_imports_go_one_way():
    wrong, seen = [], set()
    for file in PACKAGE.rglob("*.py"):
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in ORDER, f"{part} has no place in the order"
        for other in imported_parts(file):
            seen.add((part, other))
            if ORDER.index(other) > ORDER.index(part):
                wrong.append(f"{file.relative_to(PACKAGE)} imports {other}")
    assert not wrong
    assert ("training", "data") in seen


@pytest.mark.parametrize(
    "statement",
    [
        "import modnet_keras; modnet_keras.load_task('wolf')",
        "import modnet_keras.tools.train, modnet_keras.tools.evaluate",
        "from modnet_keras.tools.__main__ import main; main(['tasks'])",
        "from modnet_keras.tools.__main__ import main; main(['train', '--help'])",
        "import modnet_keras.tools.estimate",
        "import modnet_keras.reports.plots",
        "from modnet_keras.data.manifest import build_manifest",
    ],
)
def test_tensorflow_is_loaded_only_where_it_is_used(statement):
    check = f"{statement}; import sys; assert not {{*{HEAVY}}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)


def public_functions(body, within=None):
    """Every public function and method below some statements, and what arguments it takes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {decorator.id for decorator in node.decorator_list if hasattr(decorator, "id")}
            of_self = within is not None and "staticmethod" not in names
            taken = node.args
            parameters = [*taken.posonlyargs, *taken.args][of_self:] + taken.kwonlyargs
            parameters += [each for each in (taken.vararg, taken.kwarg) if each]
            if not node.name.startswith("_") or (node.name == "__init__" and parameters):
                yield node, parameters


def test_public_functions_are_typed():
    untyped, seen = [], 0
    for file in PACKAGE.rglob("*.py"):
        for function, parameters in public_functions(ast.parse(file.read_text()).body):
            seen += 1
            if function.returns is None or any(each.annotation is None for each in parameters):
                untyped.append(f"{file.relative_to(PACKAGE)}:{function.lineno} {function.name}")
    assert not untyped
    assert seen > 350


def test_the_faults_of_the_mutation_script_stand_where_it_says(monkeypatch):
    repository = Path(__file__).parents[1]
    monkeypatch.syspath_prepend(str(repository / "tools"))
    import mutate

    by_file = yaml.safe_load((repository / "tools" / "mutations.yaml").read_text())
    for file, faults in by_file.items():
        text = (repository / file).read_text()
        for fault in faults:
            assert text.count(fault["from"]) == 1 and fault["to"] != fault["from"], fault
            for argument in mutate.pytest_arguments(fault["tests"]):
                test = repository / argument.partition("::")[0]
                assert argument.startswith("-") or test.is_file(), fault


def test_what_the_package_offers_is_there():
    for name in modnet_keras.__all__:
        assert callable(getattr(modnet_keras, name))
    with pytest.raises(AttributeError, match="no_such"):
        modnet_keras.no_such  # noqa: B018
