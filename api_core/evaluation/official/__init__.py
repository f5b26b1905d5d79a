"""Published data sets: read from their official files, scored by their official rules, exported for their own tools."""
