"""Where an answer came from: masks that take it away or bring it back, and how far such a map can be trusted."""
