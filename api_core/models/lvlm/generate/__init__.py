"""Writing answers: token by token, in batches, or a given one at once."""
