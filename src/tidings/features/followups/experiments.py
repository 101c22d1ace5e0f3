"""A/B tests of follow-ups' texts: which of several gets more replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, InvalidInput, NotFound, TemplateError
from tidings.feature import parse
from tidings.features.followups.figures import variant_results
from tidings.features.followups.models import Experiment
from tidings.features.followups.rules.rates import Arm, verdict
from tidings.features.followups.rules.texts import VARIABLES
from tidings.features.followups.schemas import ExperimentIn, ExperimentResult
from tidings.messages.text.templates import check
from tidings.work import Work


class Experiments:
    """The verbs of A/B tests."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def create(self, experiment: ExperimentIn | Mapping[str, Any]) -> Experiment:
        """Stores an A/B test; follow-ups take part in it by naming it.

        Raises InvalidInput, TemplateError for a variant that cannot be rendered, and Conflict when the name is
        taken.
        """
        wanted = parse(ExperimentIn, experiment)
        keys = [variant.key for variant in wanted.variants]
        for number, variant in enumerate(wanted.variants):
            if variant.key in keys[:number]:
                raise InvalidInput(f"variants.{number}.key", f"{variant.key!r} is another variant's key already")
            try:
                check(variant.message_template, VARIABLES)
            except TemplateError as error:
                raise TemplateError(f"variant {variant.key!r}: {error}", variable=error.variable) from error
        now = self._work.clock.now()
        row = Experiment(
            name=wanted.name,
            variants=[variant.model_dump() for variant in wanted.variants],
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._work.begin() as unit:
                unit.session.add(row)
        except IntegrityError as error:
            raise Conflict(f"there is an experiment {wanted.name} already; choose another name") from error
        return row

    async def end(self, name: str) -> Experiment:
        """Takes no more follow-ups into an experiment; those scheduled already keep their texts.

        Ending it again is harmless. Raises NotFound.
        """
        async with self._work.begin() as unit:
            row = await find_experiment(unit.session, name, lock=True)
            if row.ended_at is None:
                row.ended_at = row.updated_at = self._work.clock.now()
            return row

    async def list(self) -> Sequence[Experiment]:
        """Every experiment, in the order in which they were made."""
        async with self._work.read() as session:
            return (await session.scalars(select(Experiment).order_by(Experiment.id))).all()

    async def get_result(self, name: str) -> ExperimentResult:
        """What became of each variant so far, and whether a difference can be told. Raises NotFound."""
        async with self._work.read() as session:
            experiment = await find_experiment(session, name)
            results = await variant_results(session, experiment)
        arms = [Arm(result.key, result.sent, result.replied) for result in results]
        return ExperimentResult(
            name=experiment.name, ended_at=experiment.ended_at, variants=results, verdict=verdict(arms)
        )


async def find_experiment(session: AsyncSession, name: str, *, lock: bool = False) -> Experiment:
    """The experiment. Raises NotFound."""
    query = select(Experiment).where(Experiment.name == name)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("experiment", name)
    return row
