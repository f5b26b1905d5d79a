"""How official programs read an answer: rules that several data sets share, each true to its program."""
