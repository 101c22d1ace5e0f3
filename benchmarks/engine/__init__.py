"""This engine's worker beside the stock ones of Python's and Node's bullmq, on one server, in one run."""
