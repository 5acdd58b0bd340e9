"""Run with nothing but a folder of functions' sources and the installed packages on the path: does each of them answer?

python -I -S answering.py SITE_PACKAGES SOURCES: a folder per function, with the wheel of `shared` unpacked beside them.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path


def main(packages: str, sources: Path) -> None:
    """Prints what each function answered to a message that is none, by name; raises if one cannot be loaded."""
    sys.path[:] = [*(each for each in sys.path if "site-packages" not in each), str(sources / "wheel"), packages]
    import functions_framework

    import shared

    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)
    answers = {}
    for folder in sorted(each for each in sources.iterdir() if each.name != "wheel"):
        sys.path.insert(0, str(folder))
        app = functions_framework.create_app(folder.name, str(folder / "main.py"), "cloudevent")  # type: ignore[no-untyped-call]
        answers[folder.name] = app.test_client().post("/", json={"message": {"data": 7}}).status_code
        for path in sorted(folder.glob("*.py")):  # those too that are only imported when they are needed
            if path.stem != "main":
                importlib.import_module(path.stem)
        sys.path.remove(str(folder))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
