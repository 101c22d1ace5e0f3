"""Answers: what a chatbot knows, and what it says."""
