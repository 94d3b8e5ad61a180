"""What the measurements were taken on."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import psutil


def description() -> str:
    """Processor, cores, memory, system and versions, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB; {system}, {versions}"


def _processor() -> str:
    details = Path("/proc/cpuinfo")
    if details.exists():
        for line in details.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
