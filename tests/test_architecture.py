"""What holds of the whole: layers, exported names, docstrings, documented commands, quick starts."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import mstore
from docs.generate import cli_page
from mstore import errors
from mstore.cli.app import app
from tests.conftest import write_model

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "peft", "trl", "safetensors", "accelerate", "datasets")
CODE = Path(mstore.__file__).parent


def _modules() -> list[str]:
    return [
        m.name for m in pkgutil.walk_packages(mstore.__path__, "mstore.") if m.name != "mstore.__main__"
    ]


# -- layers


def test_layers_hold() -> None:
    """The contracts of pyproject.toml, checked by import-linter."""
    script = Path(sys.executable).with_name("lint-imports")
    if not script.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.search(r"Contracts: (\d+) kept, (\d+) broken", done.stdout)
    assert kept is not None and int(kept.group(1)) >= 4 and kept.group(2) == "0"


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize(
    "package",
    sorted({"hf", *(p.name for p in CODE.iterdir() if p.is_dir() and p.name != "__pycache__")}),
)
def test_who_may_import_what(package: str) -> None:
    for path in (CODE / package).rglob("*.py"):
        names = {name.partition(".")[0] for name in _imported(path)}
        if package != "hf":
            assert not names & set(HEAVY), f"{path} imports {names & set(HEAVY)}"
        if package != "cli":
            assert not names & {"click", "rich"}, f"{path} has a user interface"
        assert not names & {"pickle", "shelve", "dill", "cloudpickle", "joblib", "marshal"}, (
            f"{path} unpickles"
        )
        assert "mmap" not in names, f"{path} maps files: one that is truncated kills the process"


def test_only_the_command_line_reads_the_environment_and_prints() -> None:
    """`mstore.hf` may read what the libraries that it ties in define (ranks, devices)."""
    for path in CODE.rglob("*.py"):
        inside = path.relative_to(CODE).parts[0]
        if inside in ("cli", "hf"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                pytest.fail(f"{path}:{node.lineno} reads the environment")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            ):
                pytest.fail(f"{path}:{node.lineno} prints")


def test_nothing_evaluates_or_unpickles() -> None:
    for path in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = (
                    node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                )
                base = node.func.value if isinstance(node.func, ast.Attribute) else None
                assert not (
                    isinstance(node.func, ast.Name)
                    and name in ("eval", "exec", "compile", "__import__")
                ), path
                owner = base.id if isinstance(base, ast.Name) else ""
                assert (owner, name) not in {
                    ("torch", "load"),
                    ("np", "load"),
                    ("pickle", "loads"),
                    ("os", "system"),
                }, path


# -- names


@pytest.mark.parametrize("name", ["mstore", *_modules()])
def test_exported_names_exist(name: str) -> None:
    if name.startswith("mstore.hf"):
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        assert not [n for n in vars(module) if n == "__all__"]
        return
    assert len(exported) == len(set(exported)), "a name stands twice"
    for item in exported:
        assert hasattr(module, item), f"{name}.__all__ has {item}, which is not there"


def test_what_mstore_exports() -> None:
    assert sorted(mstore.__all__) == sorted(
        ["Repository", "__version__", "diff", "init", "open", "weights_id"]
    )
    assert set(mstore.__all__) <= set(dir(mstore))
    namespace: dict[str, object] = {}
    exec("from mstore import *", namespace)
    assert set(mstore.__all__) - {"__version__"} <= set(namespace)
    assert mstore.__version__ in (ROOT / "pyproject.toml").read_text()
    with pytest.raises(AttributeError):
        _ = mstore.frobnicate


def test_all_errors_are_exported_and_in_the_drawing() -> None:
    defined = {
        n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, errors.MStoreError)
    }
    assert defined == set(errors.__all__)
    drawing = errors.__doc__ or ""
    for name in defined:
        assert re.search(rf"\b{name}\b", drawing), f"{name} is not in the drawing of the tree"
    # Each exit code of the drawing is the class's.
    for line in drawing.splitlines():
        match = re.search(r"── (\w+).*exit (\d)", line)
        if match is not None:
            assert getattr(errors, match.group(1)).exit_code == int(match.group(2)), line


# -- docstrings


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield name, value
            for inner, member in vars(value).items():
                function = (
                    member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                )
                if isinstance(member, property):
                    function = member.fget
                if not inner.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{inner}", function
        elif inspect.isfunction(value):
            yield name, value


def _inherits(name: str, module: ModuleType) -> bool:
    """A method that a base class or a protocol of ours documents."""
    owner, _, method = name.partition(".")
    kind = getattr(module, owner, None)
    if not method or kind is None:
        return False
    bases = [b for b in kind.__mro__[1:] if method in vars(b)]
    return any(getattr(vars(b)[method], "__doc__", None) for b in bases)


@pytest.mark.parametrize("name", ["mstore", *_modules()])
def test_everything_public_has_a_docstring(name: str) -> None:
    if name.startswith("mstore.hf"):
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip(), f"{name} does not say what it hides"
    from mstore.backend import Backend

    protocol = set(vars(Backend))
    missing = [
        item
        for item, value in _public(module)
        if not (getattr(value, "__doc__", None) or "").strip()
        and not _inherits(item, module)
        and item.partition(".")[2] not in protocol
        and not (name.startswith("mstore.hf") and item.partition(".")[2].startswith("on_"))
    ]
    assert not missing, f"{name}: without a docstring: {missing}"


# -- documents


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_command_and_option_is_documented(name: str) -> None:
    text = (ROOT / "docs/cli.md").read_text()
    section = re.search(
        rf"^#+ `?(?:mstore )?{re.escape(name)}`?.*?(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert section is not None, f"docs/cli.md has no section on {name}"
    for parameter in app.commands[name].params:
        if isinstance(parameter, click.Option):
            for spelled in parameter.opts:
                assert spelled in section.group(), f"docs/cli.md: {name} {spelled}"


def test_the_page_of_commands_is_the_commands_own_help() -> None:
    """What to do where it is not: `python docs/generate.py cli`."""
    assert (ROOT / "docs/cli.md").read_text() == cli_page()


def test_options_before_the_command_are_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for parameter in app.params:
        if isinstance(parameter, click.Option) and parameter.opts[0] not in ("--help", "--version"):
            assert parameter.opts[0] in text, parameter.opts[0]


def test_documents_name_no_command_or_option_that_is_not_there() -> None:
    known = {"mstore"} | set(app.commands)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for match in re.finditer(
            r"^(?:\$ |    )mstore ([a-z-]+)((?: .*)?)$", path.read_text(), re.MULTILINE
        ):
            name, rest = match.groups()
            assert name in known, f"{path.name}: mstore {name}"
            command = app.commands[name]
            spelled = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {
                "--help",
                "-h",
            }
            for option in re.findall(r"(?<!\S)--[a-z-]+", rest.split("#")[0].split("|")[0]):
                assert option in spelled, f"{path.name}: mstore {name} {option}"


def test_exit_codes_are_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for code in (0, 1, 2, 3, 4, 5, 6, 130):
        assert re.search(rf"(?<!\d){code}(?!\d)", text)


def test_links_of_documents_lead_somewhere() -> None:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} leads to {target}"


# -- starting fast


@pytest.fixture(scope="module")
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("somewhere")
    write_model(folder / "out", elements=3000)
    repo = mstore.init(folder)
    repo.commit(folder / "out", message="one", author="Ada")
    repo.make_tag("v1")
    repo.note("HEAD", metrics={"a": 1.0})
    repo.close()
    return folder


QUICK = (
    "log",
    "log -n 20",
    "log --oneline",
    "log --json",
    "log --graph --all",
    "branch",
    "branch --json",
    "--help",
    "log --help",
    "--version",
)
LISTING = ("tag", "reflog", "show")


def _imports(folder: Path, line: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mstore", *line.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MSTORE_AUTHOR": "Ada"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout
    return {
        row.rpartition("|")[2].strip()
        for row in done.stderr.splitlines()
        if row.startswith("import time:")
    }


@pytest.mark.parametrize("line", [*QUICK, *LISTING, "status"])
def test_what_starting_imports(somewhere: Path, line: str) -> None:
    imported = {name.partition(".")[0] for name in _imports(somewhere, line)}
    for name in ("numpy", *HEAVY):
        assert name not in imported, f"`mstore {line}` imports {name}"
    if line in QUICK:
        for name in ("rich", "pathspec", "zstandard"):
            assert name not in imported, f"`mstore {line}` imports {name}"


def test_status_with_rules_needs_no_numpy(somewhere: Path) -> None:
    (somewhere / "out/.mstoreignore").write_text("*.log\n")
    try:
        assert "numpy" not in {n.partition(".")[0] for n in _imports(somewhere, "status")}
    finally:
        (somewhere / "out/.mstoreignore").unlink()


def test_a_command_imports_its_own_module_alone(somewhere: Path) -> None:
    code = "import sys, mstore.cli as c; c.run(['log', '-n', '1']); print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=somewhere, capture_output=True, text=True, check=True
    )
    loaded = {n for n in done.stdout.splitlines() if n.startswith("mstore.cli.commands.")}
    assert loaded == {"mstore.cli.commands.log"}


def test_a_commit_that_changes_nothing(somewhere: Path) -> None:
    """It ends before formats, codecs and threads are loaded."""
    subprocess.run([sys.executable, "-m", "mstore", "commit", "out"], cwd=somewhere, check=True)
    # As if the files had been older than the clock's grain when they were read.
    with contextlib.closing(sqlite3.connect(somewhere / ".mstore/cache/stat.sqlite")) as cache:
        cache.execute("UPDATE files SET read_at = read_at + 3000000000")
        cache.commit()
    imported = _imports(somewhere, "commit out")
    assert "mstore.commit.plan" in imported
    unneeded = ("mstore.formats", "mstore.codec", "mstore.store.pack", "mstore.store.transaction")
    others = ("mstore.commit.execute", "mstore.modeldir.read", "mstore.commit.environment")
    for name in (*unneeded, *others, "numpy", "zstandard", "pathspec", "rich"):
        assert name not in imported, f"an unchanged commit imports {name}"


def test_importing_mstore_is_cheap() -> None:
    # Coverage, where it is measured, has imported modules of its own before.
    code = """
import json, sys
before = set(sys.modules)
import mstore
print(json.dumps([name.partition(".")[0] for name in sys.modules.keys() - before]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(json.loads(done.stdout))
    assert "mstore" in imported
    assert not imported & {
        "numpy",
        "click",
        "rich",
        "cbor2",
        "blake3",
        "zstandard",
        "sqlite3",
        *HEAVY,
    }


def test_the_core_works_without_torch(somewhere: Path) -> None:
    """`pip install mstore` alone: nothing of the extras may be needed."""
    code = f"""
import sys
class No:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(name)
sys.meta_path.insert(0, No())
from mstore.cli import run
for line in (
    "commit out --branch b --allow-empty -m x", "log", "diff HEAD ./out --stat",
    "checkout b --to to", "ls --tensors", "fsck",
):
    assert run(line.split()) == 0, line
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=somewhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_needs_torch_says_how_to_install_it() -> None:
    code = """
import sys
class No:
    def find_spec(self, name, *rest):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, No())
import mstore.hf
try:
    mstore.hf.load
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "mstore.hf.load needs torch: pip install 'mstore[hf]'\n"


# -- the repository itself


def _tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def test_no_file_names_a_machine_or_a_package_host() -> None:
    bad = re.compile(
        rb"/ro" + rb"ot/|/ho" + rb"me/|/Us" + rb"ers/|files\.python" + rb"hosted\.org|/work/" + rb"main"
    )
    found = []
    for path in _tracked():
        if not path.is_file() or path.suffix in (".pack", ".safetensors"):
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if bad.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found, found


def test_every_folder_of_tests_is_run_by_make() -> None:
    """`make test` runs tests/; what it ignores is run by another target that .ci/run makes."""
    makefile = (ROOT / "Makefile").read_text()
    needed = re.search(r"^test: (test-[a-z -]+)$", makefile, re.MULTILINE)
    assert needed is not None
    made = re.findall(r"^(?:if .*; then )?make ([a-z-]+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert {"check", "test"} <= set(made)
    runs = []
    for target in (*needed.group(1).split(), *(set(made) - {"test"})):
        recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        assert recipe is not None, target
        runs.append(recipe.group(1).split())
    named = [word for run in runs for word in run if word.startswith("tests")]
    ignored = {word.partition("=")[2] for run in runs for word in run if word.startswith("--ignore=")}
    assert "tests" in named
    assert ignored <= set(named), f"nothing runs {sorted(ignored - set(named))}"
    assert all((ROOT / path).is_dir() for path in named)


def test_slow_tests_are_not_run_unasked() -> None:
    import tomllib

    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    makefile = (ROOT / "Makefile").read_text()
    assert "not slow" in options.get("addopts", "") or "not slow" in makefile
