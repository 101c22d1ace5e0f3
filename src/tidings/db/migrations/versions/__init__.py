"""Schema migrations, run by `tidings migrate`."""
