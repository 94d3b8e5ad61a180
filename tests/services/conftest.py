"""The same house as for review."""

from tests.review.conftest import another_process, house, permissions

__all__ = ["another_process", "house", "permissions"]
