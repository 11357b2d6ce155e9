"""What was decided, and is the record whole?."""
