"""What `mkdocs build` makes of the code: the help of the commands, and the notebook as a page.

Named in `mkdocs.yml`; MkDocs calls the functions that are called `on_...`.
"""

import base64
import contextlib
import io
import json
import re
from pathlib import Path

from mkdocs.structure.files import File

from modnet_keras.tools.__main__ import COMMANDS, main

NOTEBOOK = "quickstart.ipynb"
COMMANDS_PAGE = "reference/commands.md"
COMMANDS_MARK = "<!-- help of every command -->"
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def on_files(files, config):
    """Add the page of the notebook, with its pictures beside it."""
    notebook = json.loads(Path(config.docs_dir, NOTEBOOK).read_text())
    text, pictures = render_notebook(notebook)
    files.append(File.generated(config, "quickstart.md", content=text))
    for name, content in pictures.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Put the help of every command in the place that the page has for it."""
    if page.file.src_uri != COMMANDS_PAGE:
        return markdown
    if markdown.count(COMMANDS_MARK) != 1:
        raise ValueError(f"{COMMANDS_PAGE} must have '{COMMANDS_MARK}' once")
    sections = [f"## {name}\n\n```text\n{help_of(name)}```" for name in COMMANDS]
    return markdown.replace(COMMANDS_MARK, "\n\n".join(sections))


def help_of(command):
    """What `modnet COMMAND --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = main([command, "--help"])
    if status:
        raise ValueError(f"modnet {command} --help ended with {status}")
    return printed.getvalue()


def render_notebook(notebook):
    """A notebook as the Markdown of a page, and its pictures by their names."""
    parts, pictures = [], {}
    for number, cell in enumerate(notebook["cells"], start=1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for place, output in enumerate(cell["outputs"], start=1):
            name = f"quickstart-{number}-{place}.png"
            data = output.get("data", {})
            if "image/png" in data:
                pictures[name] = base64.b64decode(data["image/png"])
                parts.append(f"![What cell {number} shows]({name})")
            else:
                text = "".join(output.get("text") or data.get("text/plain", ()))
                plain = TERMINAL_COLOURS.sub("", text).rstrip()
                parts.append(f"```text\n{plain}\n```")
    return "\n\n".join(parts) + "\n", pictures
