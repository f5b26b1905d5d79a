"""Readers: from files of cases, each in a format of its own, to `QuestionCase`."""
