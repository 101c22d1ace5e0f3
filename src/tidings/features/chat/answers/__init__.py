"""Answers: what a chatbot says to a due turn."""
