"""The runner: work over many cases, batch by batch, with results that survive a stop."""
