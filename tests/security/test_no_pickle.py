"""Nothing is unpickled anywhere: a pickle is a program, run with the rights of whoever reads it.

Beside pickle itself: what reads one in disguise, and texts that are run as programs.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN_MODULES = frozenset(
    {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "skops", "jsonpickle"}
)
FORBIDDEN_NAMES = frozenset({"read_pickle", "to_pickle", "allow_pickle", "from_pickle", "unpickle"})
RUN_TEXTS = frozenset({"eval", "exec"})
EXCEPTIONS = {
    # The peers that answers are compared with, as most teams write them; run by an interpreter of their own.
    "bench/peers/fastapi_joblib.py",
    "bench/peers/platforms.py",
    # Puts a mistake into a copy of our own code, to see that the tests notice it.
    "tests/faults/seeding.py",
}
OUTSIDE = {".venv", ".git", "build", "node_modules"}


def sources() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if not OUTSIDE & set(path.relative_to(ROOT).parts))


def found_in(code: str) -> Iterator[str]:
    """Every use of what is forbidden in a file of Python."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if each.name.split(".")[0] in FORBIDDEN_MODULES)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (module for _ in names if module.split(".")[0] in FORBIDDEN_MODULES)
                yield from (each.name for each in names if each.name in {"joblib", *FORBIDDEN_NAMES})
            case ast.Attribute(attr=name) if name in FORBIDDEN_NAMES:
                yield name
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=False)):
                continue
            case ast.keyword(arg="allow_pickle"):
                yield "allow_pickle"
            case ast.Call(func=ast.Name(id=name)) if name in RUN_TEXTS | {"__import__"}:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr="load"), keywords=given):
                yield from _loads(module, {each.arg for each in given})


def _loads(module: str, given: set[str | None]) -> Iterator[str]:
    if module in {"torch", "yaml"} or (module in {"np", "numpy"} and "allow_pickle" not in given):
        yield f"{module}.load"


def test_no_file_of_ours_reads_or_writes_a_pickle() -> None:
    used = {path.relative_to(ROOT).as_posix(): sorted(set(found_in(path.read_text()))) for path in sources()}
    assert len(used) > 300
    assert {name: uses for name, uses in used.items() if uses and name not in EXCEPTIONS} == {}
    assert {name for name in EXCEPTIONS if not used[name]} == set(), "an exception that nobody needs any more"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from joblib import load",
        "from sklearn.externals import joblib",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
        "import numpy as np\nnp.load(file)",
        "frame = pandas.read_pickle(path)",
        "torch.load(path)",
        "yaml.load(text)",
        "eval(text)",
        "exec(text)",
        "__import__('pickle')",
    ],
)
def test_the_check_notices(code: str) -> None:
    assert list(found_in(code))


@pytest.mark.parametrize("code", ["np.load(file, allow_pickle=False)", "json.load(file)", "yaml.safe_load(text)"])
def test_the_check_leaves_what_is_safe(code: str) -> None:
    assert not list(found_in(code))


def test_no_function_and_no_image_is_deployed_with_a_library_of_pickles() -> None:
    """scikit-learn brings joblib to where models are trained; nothing that faces the outside has it."""
    for path in (ROOT / "functions").glob("*/requirements.txt"):
        names = {line.split("==")[0] for line in path.read_text().splitlines() if "==" in line}
        assert not names & {"joblib", "cloudpickle", "dill", "scikit-learn"}, path
