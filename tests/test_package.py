"""What the package is as a whole: light to import, layered, complete when built, documented."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from napari_tomoalign import AlignmentParameters
from napari_tomoalign.cli._align import PARAMETERS
from napari_tomoalign.cli._options import parameter_texts

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "napari_tomoalign"


def top_level(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def test_the_loop_does_not_know_its_faces() -> None:
    for path in FILES:
        if top_level(path) not in ("cli", "_napari", "__main__"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"^\s*(import|from) (napari|qtpy|PyQt|PySide)\b", text, re.M), path


def test_the_room_of_the_loop_says_where_each_question_is_answered() -> None:
    folder = PACKAGE / "loop"
    told = re.findall(r"``(\w+)``", (folder / "__init__.py").read_text(encoding="utf-8"))
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    assert sorted(told) == sorted(modules)


def test_text_names_its_encoding() -> None:
    """Where nothing is said, Windows takes another one than Linux and macOS do."""
    others = ("Image", "mrcfile", "os", "tarfile", "webbrowser", "windowless", "zarr", "zipped")
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or any(k.arg == "encoding" for k in call.keywords):
                continue
            owner, _, name = ast.unparse(call.func).rpartition(".")
            mode = "".join(map(ast.unparse, call.args[:1]))
            binary = owner in others or "b'" in mode
            assert name not in ("read_text", "write_text"), f"{path}:{call.lineno}"
            assert name != "open" or binary, f"{path}:{call.lineno}"


def test_importing_is_light_and_fast() -> None:
    heavy = ["PyQt5", "PyQt6", "PySide6", "argparse", "h5py", "matplotlib", "napari", "numba"]
    heavy += ["qtpy", "scipy.ndimage", "scipy.optimize", "skimage", "tomopy", "tqdm"]
    script = (
        "import sys, time, numpy\n"
        "start = time.perf_counter()\n"
        "import napari_tomoalign\n"
        "seconds = time.perf_counter() - start\n"
        f"print(seconds, *[name for name in {heavy!r} if name in sys.modules])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert output[1:] == []
    assert float(output[0]) < 0.5


def test_public_names_are_there_and_others_are_refused() -> None:
    import napari_tomoalign

    for name in napari_tomoalign.__all__:
        assert getattr(napari_tomoalign, name) is not None
    with pytest.raises(AttributeError, match="attribute nonsense"):
        _ = napari_tomoalign.nonsense


def test_every_parameter_is_an_option_with_a_text() -> None:
    names = [field.name for field in dataclasses.fields(AlignmentParameters)]
    texts = parameter_texts(AlignmentParameters)
    assert [option.name for option in PARAMETERS] == names
    assert sorted(texts) == sorted(names)
    assert all(len(text) > 10 for text in texts.values())
    help_text = subprocess.run(
        [sys.executable, "-m", "napari_tomoalign", "align", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    for name in names:
        assert f"--{name.replace('_', '-')}" in help_text


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist and the wheel with the project's own build backend."""
    pytest.importorskip("hatchling")
    target = tmp_path_factory.mktemp("built")
    script = (
        "import hatchling.build as build, sys\n"
        "build.build_sdist(sys.argv[1]); build.build_wheel(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", script, str(target)], cwd=ROOT, check=True)
    return target


def test_the_wheel_is_complete(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        manifest = archive.read("napari_tomoalign/napari.yaml").decode()
        points = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    assert "napari_tomoalign/py.typed" in names
    assert manifest == (ROOT / "napari.yaml").read_text(encoding="utf-8")
    assert "napari-tomoalign = napari_tomoalign.cli:main" in points
    assert "napari-tomoalign = napari_tomoalign:napari.yaml" in points
    modules = {str(path.relative_to(ROOT / "src")) for path in FILES}
    assert modules <= set(names)


def test_the_sdist_is_complete(built: Path) -> None:
    import tarfile

    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    needed = {"pyproject.toml", "README.md", "LICENSE", "napari.yaml", "sample_data/README.md"}
    assert needed | {".ci/run", ".ci/qt-libraries"} <= names
    assert not [name for name in names if name.startswith((".venv", "tomoalign-"))]


def test_the_version_is_that_of_the_project() -> None:
    from napari_tomoalign import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__


def test_the_readme_explains_every_finding() -> None:
    calls = (
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"
    )
    first = [call.args[0] for call in calls if call.args]
    kinds = {str(kind.value) for kind in first if isinstance(kind, ast.Constant) and kind.value}
    assert len(kinds) > 20
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    meant = text.partition("## What the diagnosis means")[2].partition("## Conventions")[0]
    assert not [kind for kind in sorted(kinds) if kind not in meant]


def imported(files: list[Path]) -> set[str]:
    """Return the names of other projects' packages that some modules import."""
    names: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


# What is imported where it is needed only, and installed by other means (see the README).
ELSEWHERE = {"distributed", "imageio_ffmpeg", "mumott", "tomopy", "warp", "zarr"}


def test_the_dependencies_are_what_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def declared(requirements: list[str]) -> set[str]:
        names = {re.match(r"[\w-]+", one).group().lower() for one in requirements}
        called = {"scikit-image": "skimage", "pillow": "PIL"}
        return {called.get(name, name.replace("-", "_")) for name in names}

    plugin = [path for path in FILES if top_level(path) == "_napari"]
    rest = [path for path in FILES if path not in plugin] + [PACKAGE / "__init__.py"]
    assert imported(rest) - ELSEWHERE == declared(project["dependencies"])
    own = declared(project["optional-dependencies"]["napari"]) - {"pyqt6"}
    assert imported(plugin) - imported(rest) == own


@pytest.mark.parametrize(("name", "extras"), [("", ("zarr",)), ("-napari", ("napari",))])
def test_the_oldest_versions_are_those_that_are_stated(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    file = ROOT / ".github" / f"constraints-oldest{name}.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    needed = [one for extra in extras for one in project["optional-dependencies"][extra]]
    for requirement in needed if name else [*project["dependencies"], *needed]:
        package, stated = re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()
        assert oldest[package] == stated or oldest[package].startswith(f"{stated}."), requirement


def test_the_workflow_runs_every_python_that_is_stated_on_three_systems() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "classifiers"
    ]
    stated = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", workflow)[1]) == stated
    for system in ("ubuntu", "macos", "windows"):
        assert f"{system}-latest" in re.search(r"system: \[(.*)\]", workflow)[1]
    for path in re.findall(r"(?:\.github|\.ci|tests)/[\w./-]+", workflow):
        assert (ROOT / path).exists(), path


def readme_command(marker: str) -> str:
    """Return the one command in the fenced block after a marker in the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"<!-- {marker} -->\s*```sh\n(.*?)```", text, re.S)
    assert block, f"README.md has no block after <!-- {marker} -->"
    lines = block.group(1).strip().splitlines()
    assert len(lines) == 1, "each of the two commands is one line"
    return lines[0]


def test_the_readme_has_its_two_commands() -> None:
    assert ".venv/bin/napari-tomoalign align sample_data/" in readme_command("main command")
    tests = readme_command("test command")
    for word in (
        "sh .ci/qt-libraries",
        "python3 -m venv .venv",
        "ruff check",
        "ruff format --check",
        "lint-imports",
        "mypy --strict",
        "pytest",
    ):
        assert word in tests


def test_ci_runs_the_command_of_the_readme(tmp_path: Path) -> None:
    """Run .ci/run on a small repository whose README says what to run."""
    if shutil.which("git") is None or os.name != "posix":
        pytest.skip("git is not installed here, or there is no shell")
    command = "echo ran with CI=$CI in $(basename $PWD) && ls"
    readme = f"# x\n```sh\nfalse\n```\n<!-- test command -->\n```sh\n{command}\n```\n"
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    (tmp_path / ".ci").mkdir()
    script = tmp_path / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    script.chmod(0o755)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (tmp_path / "untracked").touch()
    for given, expected in ((None, "true"), ("mine", "mine")):
        environment = {key: value for key, value in os.environ.items() if key != "CI"}
        if given:
            environment["CI"] = given
        done = subprocess.run(
            [script], env=environment, capture_output=True, text=True, check=True, cwd="/"
        )
        assert done.stdout == f"ran with CI={expected} in project\nREADME.md\n"
    status = subprocess.run([*git, "status", "--short"], capture_output=True, text=True).stdout
    assert status == "?? untracked\n"
