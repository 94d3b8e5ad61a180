"""Background jobs and messages that leave the installation. `governance.worker` runs them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from governance.bootstrap.foundation import Foundation

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from governance.services.jobs.manage import JobService
    from governance.services.jobs.outbox import Alerts, DeliverMessages


class JobParts(Foundation):
    """What every wing may use to have work done later."""

    @cached_property
    def background(self) -> JobService:
        """Lists, retries and cancels jobs."""
        from governance.services.jobs.manage import JobService

        return JobService(self.authority)

    @cached_property
    def alerts(self) -> Alerts:
        from governance.services.jobs.outbox import Alerts

        return Alerts(wanted=bool(self.settings.alert_webhook_url))

    @cached_property
    def deliver_messages(self) -> DeliverMessages:
        from governance.bootstrap.settings import webhook_key
        from governance.delivery.webhook import Webhook
        from governance.services.jobs.outbox import DeliverMessages

        url = self.settings.alert_webhook_url
        deliver = Webhook(url, webhook_key(self.settings.alert_webhook_secret)) if url else None
        return DeliverMessages(self.database, deliver, self.clock)

    @property
    def time_zone(self) -> ZoneInfo:
        """The firm's, for daily jobs."""
        from governance.domain.schedule import time_zone

        return time_zone(self.settings.time_zone)
