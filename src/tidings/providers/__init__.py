"""Whoever takes messages and hands them on. A provider knows its own protocol, and no database and no queue."""
