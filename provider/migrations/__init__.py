"""How the durable tables came to their present form: a line of versions for each database."""
