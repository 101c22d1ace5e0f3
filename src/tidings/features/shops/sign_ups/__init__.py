"""Sign-ups for a shop's campaigns: its keyword, double opt-in, and who is a customer from then on."""
