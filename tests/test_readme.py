"""What the README and the papers beside it promise is there."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from provider.__main__ import provider
from provider.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAPERS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
DEPLOY = sorted(each for each in (ROOT / "deploy").iterdir() if each.is_file())
SAID = [*PAPERS, *DEPLOY]

MAKE = re.compile(r"(?:^|`)(?:[A-Z]+=\S+ )*make ([a-z]+)", re.MULTILINE)
COMMAND = re.compile(
    # In code: at the begin of a line or of a quotation, perhaps with a path; then words and options.
    r"(?:^\s*|`|/)provider(?:-admin)? +([a-z].*?)(?:`|\"|$)",
    re.MULTILINE,
)


def named(paper: Path) -> str:
    return str(paper.relative_to(ROOT))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def tracked() -> set[str]:
    """Return the paths that belong to the project."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout, so nothing says which folders belong to it")
    return set(listed.split("\n"))


def test_the_first_screen_has_the_two_commands() -> None:
    first = README.splitlines()[:14]

    assert any(line.startswith("make demo ") for line in first)
    assert any(line.startswith("make test ") for line in first)


@pytest.mark.parametrize("paper", PAPERS, ids=named)
def test_what_is_to_be_made_can_be_made(paper: Path) -> None:
    wanted = set(MAKE.findall(paper.read_text()))

    assert wanted <= targets()
    if paper.name == "README.md":
        assert {"demo", "test", "run", "check"} <= wanted


def test_every_target_is_phony_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())

    assert phony == targets()
    for target in phony:
        assert re.search(rf"^{target}:.* ## \S", makefile, re.MULTILINE), target


@pytest.mark.parametrize("paper", SAID, ids=named)
def test_every_command_shown_exists_with_its_options(paper: Path) -> None:
    for said in COMMAND.findall(paper.read_text().replace("\\\n", " ")):
        group: click.Command = provider
        for word in said.replace(",", " ").split():
            if isinstance(group, click.Group) and not word.startswith("-"):
                if (found := group.get_command(click.Context(group), word)) is not None:
                    group = found
                    continue
                assert group is not provider, f"there is no command `provider {said}`"
            elif word.startswith("--") and word != "--help":
                known = {option for parameter in group.params for option in parameter.opts}
                assert word.split("=")[0] in known, f"`provider {said}` has no {word}"


def test_the_commands_that_are_shown_are_found() -> None:
    """The pattern above must see commands, or the test above would see nothing wrong with any."""
    assert len(COMMAND.findall(README)) >= 6
    assert any(said.startswith("init --name") for said in COMMAND.findall(README))
    assert "serve" in COMMAND.findall((ROOT / "deploy" / "provider.service").read_text())


def test_every_command_is_in_the_readme() -> None:
    shown = {said.split()[0] for said in COMMAND.findall(README)}

    assert shown >= set(provider.list_commands(click.Context(provider)))


def test_the_table_of_folders_is_true() -> None:
    listed = set(re.findall(r"^\| `([^`]+)/` \|", README, re.MULTILINE))

    assert listed == {path.split("/")[0] for path in tracked() if "/" in path}


@pytest.mark.parametrize("paper", PAPERS, ids=named)
def test_every_link_leads_to_a_file(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", paper.read_text()):
        if "://" not in target:
            assert (paper.parent / target).exists(), target


@pytest.mark.parametrize("paper", SAID, ids=named)
def test_every_variable_named_is_a_setting(paper: Path) -> None:
    settings = {setting.variable for setting in Settings.read({}).describe()}
    named = set(re.findall(r"\bPROVIDER_[A-Z_]*[A-Z]\b", paper.read_text())) - {"PROVIDER_X", "PROVIDER_X_FILE"}

    assert {each.removesuffix("_FILE") for each in named} <= settings


def test_operations_explains_every_setting() -> None:
    said = (ROOT / "docs" / "operations.md").read_text()

    for setting in Settings.read({}).describe():
        assert f"`{setting.variable}`" in said


def test_nothing_is_locked_without_its_hash_and_nothing_names_an_index() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text
        pinned = re.findall(r"^(\S+)==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        hashed = re.findall(r"^(\S+)==[^\n]*\\\n +--hash=sha256:", text, re.MULTILINE)
        assert pinned
        assert pinned == hashed


def test_every_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    code = ("api", "domain", "projections", "provider")

    assert listed == {
        ".".join(file.parent.relative_to(ROOT).parts) for top in code for file in (ROOT / top).rglob("__init__.py")
    }
