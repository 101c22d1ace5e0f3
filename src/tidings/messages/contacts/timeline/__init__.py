"""One person's story over everything that writes to them."""
