"""What this machine is, whether the pack works on it, and what it costs: to read, and to paste into an issue."""
