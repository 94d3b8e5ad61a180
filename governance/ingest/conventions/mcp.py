"""Model Context Protocol spans: `mcp.*` (OpenTelemetry and OpenLLMetry)."""

from __future__ import annotations

FIELDS = {
    "mcp.method.name": "mcp_method",
    "mcp.session.id": "session",
    "mcp.tool.name": "tool_name",
    "mcp.request.argument": "tool_arguments",
    "mcp.response.value": "tool_result",
}

KINDS = {"tools/call": "tool", "resources/read": "retrieval"}
