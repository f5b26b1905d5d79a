"""Answers that lean less on habit: decoding against a second reading of the prompt that cannot see well."""
