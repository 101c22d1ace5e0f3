"""Alembic's entry: migrates over the connection that tidings.db.migrate hands in."""

from alembic import context

from tidings.db.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
