"""From pictures and text to what a model's forward takes."""
