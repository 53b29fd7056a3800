"""What was acknowledged, on disk until the store has it."""
