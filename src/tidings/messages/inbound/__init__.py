"""The door in: replies and delivery reports, from whatever provider."""
