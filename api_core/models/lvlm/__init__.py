"""Vision-language models: `load.load_lvlm` makes a `model.LvlmModel`."""
