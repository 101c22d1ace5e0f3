"""CRM follow-ups: personalised by AI, recurring, skipped when their action item is done."""
