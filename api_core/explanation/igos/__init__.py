"""iGOS+ and iGOS++ for vision-language models (arXiv 2503.13891): the least of a picture that an answer needs."""
