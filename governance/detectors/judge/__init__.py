"""`judge`: a language model, behind any OpenAI-compatible service, says how far a text meets a rubric of the policy.

`rubrics` are what policies ask for, `question` is what the model is told and how its answer is read, `service` speaks
HTTP and knows when the other side is not well, `budget` counts, `detector` makes findings of it.
"""

from governance.detectors.judge.detector import KIND

__all__ = ["KIND"]
