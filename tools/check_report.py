"""Look at a report in Chromium, on a screen and on a phone, and check that it holds together.

At 1280 and at 390 pixels of width it must hold that the page cannot be scrolled sideways, that no
text leaves the page or its figure, that no two elements share an id, that nothing is asked for
beside the page, and that its script runs without an error. Writes a picture of the whole page for
each width beside it, as `report-390.png`; ends with 1 where something does not hold, else with 0.

    pip install playwright && apt-get install chromium
    python tools/check_report.py report.html
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = (1280, 390)
FAULTS = """() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > window.innerWidth) faults.push(`the page is ${wide} pixels wide`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
  if (twice.length) faults.push(`ids are there twice: ${twice.slice(0, 5)}`);
  for (const element of document.querySelectorAll("p, figcaption, summary, dd, .node, svg text")) {
    const box = element.getBoundingClientRect();
    const frame = (element.closest("svg") ?? document.body).getBoundingClientRect();
    if (box.width && (box.left < frame.left - 1 || box.right > frame.right + 1))
      faults.push(`text is cut off: ${element.textContent.trim().slice(0, 60)}`);
  }
  const heading = document.querySelector("table.sortable th:nth-child(5) button");
  heading.click();
  if (!heading.closest("th").hasAttribute("aria-sort")) faults.push("the table is not sorted");
  return faults;
}"""


def check(browser, page_file: Path, width: int) -> list[str]:
    """What is wrong with the page at a width, a phrase each."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    address = page_file.resolve().as_uri()
    allowed = (address, "data:")
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(allowed) else faults.append(f"asks for {request.url}")
        ),
    )
    page.goto(address)
    page.screenshot(path=page_file.with_name(f"{page_file.stem}-{width}.png"), full_page=True)
    faults += page.evaluate(FAULTS)
    page.close()
    return faults


def main() -> int:
    """Check at every width and print what is wrong."""
    page_file = Path(sys.argv[1])
    with sync_playwright() as playwright:
        # Debian's Chromium where it is installed, else the one that playwright fetched.
        installed = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        found = {width: check(browser, page_file, width) for width in WIDTHS}
    for width, faults in found.items():
        print(f"{width} pixels: {'; '.join(faults) or 'all holds'}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
