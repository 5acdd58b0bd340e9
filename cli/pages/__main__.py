"""`python -m cli.pages`: writes every page that is made from the code."""

from pathlib import Path

from cli.pages import events, settings

ROOT = Path(__file__).parents[2]
_BEGIN, _END = "<!-- topics: made by make docs -->\n", "<!-- end of topics -->\n"


def pages() -> dict[Path, str]:
    """Every page with what it must hold."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs" / "settings.md": settings.page(),
        ROOT / "docs" / "asyncapi.yaml": events.asyncapi(),
        readme: _between(readme.read_text(), events.table()),
    }


def _between(text: str, table: str) -> str:
    """The text with the table between its marks."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table}\n{_END}{after}"


if __name__ == "__main__":
    for path, content in pages().items():
        path.write_text(content)
