"""What is sent when, to whom and in which words: pure rules over plain values, no database and no queue."""
