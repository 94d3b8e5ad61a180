"""HTTP: the OTLP receiver, inline checks, reports and reading under /v1; health and metrics beside it."""

from governance.api.app import create_api, mounted

__all__ = ["create_api", "mounted"]
