"""Human review: cases and reports."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from governance.bootstrap.calls import CallParts

if TYPE_CHECKING:
    from governance.services.review.cases import ReviewService
    from governance.services.review.read import ReadCases
    from governance.services.review.reports import ReportService


class ReviewParts(CallParts):
    """The use cases of review. Notes and words of reports are redacted as calls are."""

    @cached_property
    def read_cases(self) -> ReadCases:
        from governance.services.review.read import ReadCases
        from governance.store.review.queries import CaseQueries

        return ReadCases(
            self.visible, CaseQueries(self.database, self.key_ring), self.clock, self.rollout.queues, self.access_log
        )

    @cached_property
    def review(self) -> ReviewService:
        from governance.services.review.cases import ReviewService

        lease = timedelta(minutes=self.settings.lease_minutes)
        return ReviewService(self.authority, lease=lease, redact=self.redact_text)

    @cached_property
    def reports(self) -> ReportService:
        from governance.services.review.reports import ReportService

        return ReportService(self.authority, self.key_ring, redact=self.redact_text, access=self.access_log)
