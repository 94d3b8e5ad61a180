"""The folders that travel inside the installed package, or lie beside it in a checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


PACKAGE = Path(__file__).parents[1]


def resource(name: str) -> Path:
    """The folder `app`, `migrations` or `policies`: inside the installed package, or beside it in a checkout."""
    packaged = PACKAGE / f"_{'console' if name == 'app' else name}"
    return packaged if packaged.is_dir() else PACKAGE.parent / name


def console_package() -> Path:
    """Makes `import app` mean the console, also where it is installed as `governance._console`; gives its folder."""
    folder = resource("app")
    if "app" not in sys.modules:
        if folder.parent == PACKAGE:
            sys.modules["app"] = importlib.import_module("governance._console")
        else:
            sys.path.insert(0, str(folder.parent))
            importlib.import_module("app")
    return folder
