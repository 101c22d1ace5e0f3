"""Turns: when a conversation's latest burst is to be answered, and when it counts as answered."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import select

from tidings.customers import Customer, Plan
from tidings.features.chat.jobs import AI_ANSWER, AIProcessingJob, priority_for
from tidings.features.chat.models import Conversation
from tidings.work import Unit


async def arm_answer(unit: Unit, conversation: Conversation, customer_id: int) -> None:
    """Has the conversation's latest burst answered when it is due, by the priority of the customer's plan."""
    price = await unit.session.scalar(
        select(Plan.monthly_price).join(Customer, Customer.plan_id == Plan.id).where(Customer.id == customer_id)
    )
    disarm_answer(unit, conversation.id, conversation.turn - 1)
    unit.arm(
        AI_ANSWER.job(
            AIProcessingJob(conversation_id=conversation.id, turn=conversation.turn),
            due=conversation.answer_due,
            priority=priority_for(Decimal(price) if price else None),
        )
    )


def disarm_answer(unit: Unit, conversation_id: int, turn: int) -> None:
    """Nobody is to answer this turn any more."""
    unit.disarm(AI_ANSWER.queue.name, AI_ANSWER.id_of(AIProcessingJob(conversation_id=conversation_id, turn=turn)))


def settle(conversation: Conversation, turn: int) -> None:
    """Everything up to the user's message number `turn` counts as answered, in a locked conversation."""
    conversation.answered_turn = turn
    conversation.answer_due = conversation.answer_by = None
