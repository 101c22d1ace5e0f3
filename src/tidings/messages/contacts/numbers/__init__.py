"""Phone numbers: how they are read, written, compared, and to which country they belong."""
