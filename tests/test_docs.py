"""README and the pages of the site: links, command lines, specs and Python lead where they say.

`mkdocs build --strict` (in `.ci/run`) checks the site as a site; nothing here needs MkDocs.
"""

import ast
import json
import re
import shlex
import unicodedata
from pathlib import Path

import modnet_keras
from modnet_keras.errors import CallError
from modnet_keras.tasks import read_task_spec
from modnet_keras.tools.__main__ import COMMANDS
from modnet_keras.tools.arguments import checked_call, signature_of

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[|&;] *)(modnet [^#|&;\n]*)", re.MULTILINE)
MADE_FROM_OTHERS = {"quickstart.md"}
"""Pages that the site has and the folder has not (tools/docs_hooks.py)."""


def blocks(language):
    """Every fenced block of a language, as (page, its text)."""
    return [
        (page, text)
        for page in PAGES
        for found, text in FENCE.findall(page.read_text())
        if found == language
    ]


def anchors(page):
    """The anchors of a page's headings, as the site and forges make them."""
    text = FENCE.sub("", page.read_text())
    for include in re.findall(r'^--8<-- "([^":]+)"$', text, re.MULTILINE):
        text += (ROOT / include).read_text()
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def anchor_of(heading):
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def command_lines():
    """Every call of `modnet` in a block of commands, comments and continuations taken away."""
    for page, text in blocks("bash"):
        for line in COMMAND.findall(text.replace("\\\n", " ")):
            yield page, line.strip()


def test_links_lead_somewhere():
    wrong = []
    for page in PAGES:
        for target in LINK.findall(FENCE.sub("", page.read_text())):
            path, _, anchor = target.partition("#")
            if target.startswith(("http://", "https://")) or path in MADE_FROM_OTHERS:
                continue
            if Path(path).name in MADE_FROM_OTHERS and page != ROOT / "README.md":
                continue
            file = (page.parent / path).resolve() if path else page
            there = file.exists() and (not anchor or anchor in anchors(file))
            if not there:
                wrong.append(f"{page.relative_to(ROOT)}: {target}")
    assert not wrong


def test_commands_in_the_pages_exist(here):
    found = list(command_lines())
    # Or the pattern above has ceased to match what the pages have.
    assert {line.split()[1] for _, line in found} == set(COMMANDS)
    wrong = []
    for page, line in found:
        name, *arguments = shlex.split(line)[1:]
        for argument in arguments:
            make_there(here, argument)
        try:
            checked_call(name, signature_of(COMMANDS[name].load()), arguments)
        except (CallError, KeyError) as error:
            wrong.append(f"{page.relative_to(ROOT)}: {line}: {error}")
    assert not wrong


def make_there(here, argument):
    """Make what a call names as a run or a picture, so that it is not refused as missing."""
    option, _, value = argument.rpartition("=")
    if option in ("--run", "--parent") or not argument.startswith("-"):
        place = here / value
        assert place.resolve().is_relative_to(here.resolve())
        place.mkdir(parents=True, exist_ok=True)


def test_specs_in_the_pages_are_read(tmp_path):
    specs = [(page, text) for page, text in blocks("yaml") if "name:" in text]
    assert len(specs) >= 3
    for number, (_, text) in enumerate(specs):
        name = re.search(r"^name: (\S+)$", text, re.MULTILINE).group(1)
        file = tmp_path / str(number) / f"{name}.yaml"
        file.parent.mkdir()
        file.write_text(text)
        assert read_task_spec(file).name == name


def test_python_in_the_pages_names_what_is_there():
    notebook = json.loads(NOTEBOOK.read_text())
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    sources = [text for _, text in blocks("python")] + cells
    named = {
        node.attr
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id == "mk"
    }
    assert named and named <= set(modnet_keras.__all__)


def test_the_reference_has_every_name_of_the_package():
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    listed = set(re.findall(r"^::: (\S+)$", page, re.MULTILINE))
    offered = {f"{getattr(modnet_keras, name).__module__}.{name}" for name in modnet_keras.__all__}
    assert offered <= listed
