"""Numbers of a shop's own people, verified by a code, to which tests go without consent."""
