"""The recipe for Binder, read by repo2docker, the program that builds Binder's images."""

import re
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repo2docker.app import Repo2Docker
from repo2docker.buildpacks import BuildPack, PythonBuildPack

ROOT = Path(__file__).parent.parent
BINDER = ROOT / "binder"


@pytest.fixture
def build_pack(monkeypatch: pytest.MonkeyPatch) -> BuildPack:
    """The build pack that repo2docker chooses for this repository: the first that fits."""
    monkeypatch.chdir(ROOT)
    builder = Repo2Docker()
    packs = (kind(base_image=builder.base_image) for kind in builder.buildpacks)
    chosen = next(pack for pack in packs if pack.detect())
    chosen.platform = "linux/amd64"  # as mybinder.org's machines are
    return chosen


def locked() -> dict[str, Requirement]:
    """The lines of the lock file, by the names of their packages."""
    lines = (BINDER / "lock.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if not line.lstrip().startswith("#")]
    return {canonicalize_name(each.name): each for each in found}


def test_the_build_pack(build_pack: BuildPack) -> None:
    """Binder builds with the pack for Python, at a version that the package supports."""
    assert type(build_pack) is PythonBuildPack
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert build_pack.python_version == "3.12"
    assert (
        f"Programming Language :: Python :: {build_pack.python_version}" in project["classifiers"]
    )


def test_the_dockerfile(build_pack: BuildPack) -> None:
    """The image copies the checkout, installs what binder/ says, and runs its postBuild."""
    dockerfile = build_pack.render()
    steps = [
        "COPY --chown=1000:1000 src/ ${REPO_DIR}/",
        '${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r "binder/requirements.txt"',
        "RUN ./binder/postBuild",
    ]
    places = [dockerfile.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert dockerfile.count("/bin/pip install") == 1


def test_the_lock_file_is_exact() -> None:
    """Each version is exact, and the first lines say how the file is made."""
    text = (BINDER / "lock.txt").read_text("utf-8")
    assert "uv pip compile pyproject.toml --extra lab --python-version 3.12" in text[:300]
    loose = [
        str(each) for each in locked().values() if not re.fullmatch("==[^*]+", str(each.specifier))
    ]
    assert loose == []


def test_the_lock_file_fits() -> None:
    """What the package needs is in the lock file, at a version that it takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*map(Requirement, [*project["dependencies"], *extras["lab"]])]
    own = [extra for each in needed if each.name == project["name"] for extra in each.extras]
    needed += [Requirement(each) for extra in own for each in extras[extra]]
    found = locked()
    for requirement in (each for each in needed if each.name != project["name"]):
        (exact,) = found[canonicalize_name(requirement.name)].specifier
        assert exact.version in requirement.specifier, requirement


def test_requirements_are_the_lock_and_the_checkout() -> None:
    """Nothing but the lock file and this checkout is installed."""
    lines = (BINDER / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r lock.txt", ".[lab]"]


def test_the_badge_opens_the_quickstart() -> None:
    """The link of the badge opens the first notebook in JupyterLab, not the launcher."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (link,) = set(re.findall(r"https://mybinder\.org/v2/gh/[^)\s]+", readme))
    (path,) = parse_qs(urlsplit(link).query)["urlpath"]
    assert path.startswith("lab/tree/")
    assert (ROOT / path.removeprefix("lab/tree/")).name == "01-quickstart.ipynb"
    assert (ROOT / path.removeprefix("lab/tree/")).is_file()
