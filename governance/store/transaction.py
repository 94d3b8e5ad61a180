"""A unit of work with every repository: the one module of the store that names all wings."""

from __future__ import annotations

from functools import cached_property

import sqlalchemy as sa

from governance.store.base import database
from governance.store.base.database import AuditWriter
from governance.store.base.unit_of_work import UnitOfWork
from governance.store.calls.reveals import SqlReveals
from governance.store.evidence.access import SqlAccessReviews
from governance.store.evidence.adoption import SqlAdoption
from governance.store.evidence.copies import SqlCheckpointCopies
from governance.store.evidence.erasures import SqlErasures, SqlHolds, SqlRetention
from governance.store.evidence.findings import SqlFindings
from governance.store.jobs.outbox import SqlOutbox
from governance.store.jobs.queue import SqlJobs
from governance.store.jobs.schedule import SqlSchedules
from governance.store.people.accounts import SqlPeople
from governance.store.people.keys import SqlKeys
from governance.store.people.sessions import SqlSessions
from governance.store.policies.backtests import SqlBacktests
from governance.store.policies.rollouts import SqlRollouts
from governance.store.review.cases import SqlCases
from governance.store.review.reports import SqlReports


class Transaction(UnitOfWork):
    """A unit of work with the repositories that act in it."""

    @cached_property
    def cases(self) -> SqlCases:
        return SqlCases(self)

    @cached_property
    def people(self) -> SqlPeople:
        return SqlPeople(self)

    @cached_property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self)

    @cached_property
    def keys(self) -> SqlKeys:
        return SqlKeys(self)

    @cached_property
    def reports(self) -> SqlReports:
        return SqlReports(self)

    @cached_property
    def reveals(self) -> SqlReveals:
        return SqlReveals(self)

    @cached_property
    def backtests(self) -> SqlBacktests:
        return SqlBacktests(self)

    @cached_property
    def rollouts(self) -> SqlRollouts:
        return SqlRollouts(self)

    @cached_property
    def erasures(self) -> SqlErasures:
        return SqlErasures(self)

    @cached_property
    def holds(self) -> SqlHolds:
        return SqlHolds(self)

    @cached_property
    def retention(self) -> SqlRetention:
        return SqlRetention(self)

    @cached_property
    def findings(self) -> SqlFindings:
        return SqlFindings(self)

    @cached_property
    def copies(self) -> SqlCheckpointCopies:
        return SqlCheckpointCopies(self)

    @cached_property
    def access_reviews(self) -> SqlAccessReviews:
        return SqlAccessReviews(self)

    @cached_property
    def jobs(self) -> SqlJobs:
        return SqlJobs(self)

    @cached_property
    def schedules(self) -> SqlSchedules:
        return SqlSchedules(self)

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self)

    @cached_property
    def adoption(self) -> SqlAdoption:
        return SqlAdoption(self)


class Database(database.Database[Transaction]):
    """The database whose units of work hold every repository."""

    def __init__(self, engine: sa.Engine, audit: AuditWriter | None = None) -> None:
        super().__init__(engine, audit, Transaction)
