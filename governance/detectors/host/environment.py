"""The scanners' own Python environment: where it is, whether it is installed, how it is made, and what a process in it
can see.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from governance.errors import BadInput, Misconfigured

NAME = "llm-guard"
TORCH = "torch==2.13.0"
"""Installed beside the lock, not by it: which build of it fits (processor only, a graphics card) is the machine's."""
PROGRAM = Path(__file__).with_name("program.py")
_STAMP = ".installed"
_PACKAGE = Path(__file__).parents[2]
_KEPT = ("OPENBLAS_", "OMP_", "MKL_", "CUDA_", "LC_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_ONLINE = (*_PROXIES, *(name.lower() for name in _PROXIES), "SSL_CERT_FILE", "HF_ENDPOINT")


def lock_file() -> Path:
    """The locked requirements: inside the installed package, or beside it in a checkout."""
    packaged = _PACKAGE / "_requirements-llm-guard.lock"
    return packaged if packaged.is_file() else _PACKAGE.parent / "requirements-llm-guard.lock"


def lock_digest() -> str:
    return hashlib.sha256(lock_file().read_bytes() + TORCH.encode()).hexdigest()[:16]


def folder_of(data_dir: Path) -> Path:
    return data_dir / "scanners" / NAME


def installed(data_dir: Path | None) -> str:
    """The digest of the lock that the environment was made from; "" where there is none."""
    try:
        return (folder_of(data_dir) / _STAMP).read_text().strip() if data_dir is not None else ""
    except OSError:
        return ""


def stale(data_dir: Path | None) -> bool:
    """Whether it was made from another version's lock: it works, but should be renewed."""
    made = installed(data_dir)
    return bool(made) and made != lock_digest()


def python(data_dir: Path | None) -> Path:
    """The environment's interpreter. Raises `Misconfigured` where it is not installed."""
    if data_dir is None or not installed(data_dir):
        raise Misconfigured("The scanners are not installed.", advice="governance detectors install llm-guard.")
    return folder_of(data_dir) / "bin" / "python"


def install(data_dir: Path, *, say: Callable[[str], None], options: Sequence[str] = ()) -> None:
    """Makes the environment anew from the lock; `options` go to pip (`--no-index`, `--find-links FOLDER`).

    Raises `Misconfigured` with pip's last words, and leaves nothing half made.
    """
    for option in options:
        if any(character.isspace() for character in option):
            raise BadInput("An option of pip must not contain white space.")
    folder = folder_of(data_dir)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *options]
    (folder / _STAMP).unlink(missing_ok=True)
    try:
        say("Making the environment")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        say("Installing LLM Guard and what it needs, each file checked against the lock")
        _run([*pip, "--require-hashes", "--no-deps", "--requirement", str(lock_file())])
        say(f"Installing {TORCH}")
        _run([*pip, TORCH])
        say("Trying it")
        _run([str(folder / "bin" / "python"), "-I", "-c", "import llm_guard, optimum.onnxruntime, torch, transformers"])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / _STAMP).write_text(lock_digest())


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-3:])[-400:]
        raise Misconfigured(f"The scanners could not be installed: {said}", advice="See docs/detectors/llm_guard.md.")


def command(data_dir: Path | None) -> list[str]:
    """What starts the host's program."""
    return [str(python(data_dir)), "-I", "-X", "utf8", "-B", str(PROGRAM)]


def variables(data_dir: Path, *, online: bool) -> dict[str, str]:
    """All that a scanner process sees of the environment: no settings of ours, no secrets, and no way to a hub unless
    the operator opened it. Word lists are looked for below `scanners/`."""
    scanners = data_dir / "scanners"
    kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
    if online:
        kept |= {name: os.environ[name] for name in _ONLINE if name in os.environ}
    else:
        kept |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    kept.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
    return kept | {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HF_HOME": str(scanners / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NLTK_DATA": str(scanners / "nltk_data"),
        "TIKTOKEN_CACHE_DIR": str(scanners / "tiktoken"),
    }
