"""`python -m cli.pages`: writes every page that is made from the code."""

from pathlib import Path

from cli.pages import deploying, events, permissions, settings

ROOT = Path(__file__).parents[2]


def pages() -> dict[Path, str]:
    """Every page with what it must hold."""
    readme, deployment = ROOT / "README.md", ROOT / "docs" / "deploying.md"
    created = _between(deployment.read_text(), "creates", deploying.creates())
    return {
        ROOT / "docs" / "settings.md": settings.page(),
        ROOT / "docs" / "asyncapi.yaml": events.asyncapi(),
        ROOT / "docs" / "permissions.md": permissions.page(),
        deployment: _between(created, "costs", deploying.costs()),
        readme: _between(readme.read_text(), "topics", events.table()),
    }


def _between(text: str, name: str, table: str) -> str:
    """The text with the table between the marks of that name."""
    begin, end = f"<!-- {name}: made by make docs -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content)
