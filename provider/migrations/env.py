"""What Alembic runs: the migrations, on the connection that `provider.durable` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
