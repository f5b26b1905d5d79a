"""Answers that lean less on habit: decoding against a second pass over the prompt that cannot see well."""
