"""Training of the embedded tiny LVLM: bank of scenes, patch stage of the vision tower, answers, export."""
