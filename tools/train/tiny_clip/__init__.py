"""Training of the embedded tiny CLIP: bank of scenes, dense stage, caption and map stage, export."""
