"""Names of the general OpenTelemetry conventions, and of custom attributes that say who and which release."""

from __future__ import annotations

FIELDS = {
    "error.type": "error_type",
    "exception.type": "exception_type",
    "exception.message": "exception_message",
    "session.id": "session",
    "user.id": "user",
    "metadata": "metadata",
    "conversation.id": "session",
    "conversation_id": "session",
    "session_id": "session",
    "thread.conversation.id": "session",
    "enduser.id": "user",
    "enduser.pseudo.id": "user",
    "user_id": "user",
    "enduser.role": "role",
    "user.roles": "role",
    "user.role": "role",
    "user_role": "role",
    "prompt.version": "prompt_version",
    "prompt.name": "prompt_name",
    "prompt_version": "prompt_version",
}

# Keys of `metadata` that say the same.
METADATA = {
    "user_id": "user",
    "userId": "user",
    "user": "user",
    "end_user": "user",
    "user_role": "role",
    "userRole": "role",
    "role": "role",
    "session_id": "session",
    "sessionId": "session",
    "conversation_id": "session",
    "thread_id": "session",
    "prompt_version": "prompt_version",
    "promptVersion": "prompt_version",
    "prompt_name": "prompt_name",
}
