"""Vision-language models: `load.load_lvlm` makes a `model.LvlmModel`; `case` holds what is put before it.

Nothing is imported here, because the families import `case` and the model imports the families.
"""
