"""Serve a model to chat clients and benchmarks: the picture is prompted, then it answers, or another server does."""

import argparse
import os

from torch import Tensor

from ..answering import find_template
from ..answering.surest import require_confidence
from ..errors import InvalidInput
from ..models.catalog import EMBEDDED_LVLM
from ..models.clip import ClipModel
from ..models.lvlm.model import LvlmModel
from ..models.server import Secret, ServerModel, connect
from ..progress import Progress
from ..prompting import PromptedPicture, names_lvlm, prompt_picture
from ..serving.endpoint import Endpoint
from ..serving.prompt_then_answer import Prompter, Serving
from .ask import require_prompting
from .decoding_options import chosen_decoding
from .flags import given
from .loading import load_answering_model
from .options import chosen_mask, chosen_style, given_prompting_flags, surer_above
from .prompt import load_model, reading_options, refuse_options
from .terminal import complain, say


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises before anything is loaded where nothing could be served as asked."""
    decoding = chosen_decoding(options)
    skip_above = surer_above(options, decoding)
    template = find_template(options.template)
    key = read_key(options.key_variable)
    require_prompting(options, given_prompting_flags(options))
    of_prompter = prompting_options(options)
    if options.prompted_by:
        refuse_options(of_prompter, names_lvlm(options.prompted_by), "--prompted-by")
    if options.server and options.model:
        raise InvalidInput("Either a MODEL of this machine answers or a --server does. Leave one of them out.")
    name = options.model or EMBEDDED_LVLM
    model = load_answering_model(options, name, options.folder)
    if isinstance(model, ServerModel):
        model = only_model(model, options)
        if skip_above is not None:
            require_confidence(model)
    if model is None:
        raise InvalidInput("A model has to answer. Give its name or folder, or a --server.")
    serving = Serving(
        model,
        model.model if isinstance(model, ServerModel) else model.name,
        prompter_of(options, of_prompter, model if options.prompted_by == name else None),
        query=options.query,
        system_prompt=options.system_prompt,
        template=template,
        with_original=options.with_original,
        skip_above=skip_above,
        decoding=decoding,
        thinking=options.think,
        max_new_tokens=options.max_new_tokens,
        at_once=model.limits.at_once if isinstance(model, ServerModel) else options.batch_size,
    )
    with Endpoint(serving, options.host, options.port, key=key, on_trouble=complain) as endpoint:
        say(f"{serving.name} answers at {endpoint.address}; Ctrl-C stops it")
        endpoint.serve_forever()
    return 0


def read_key(variable: str | None) -> Secret | None:
    """The key in an environment variable, where one is named."""
    if variable is None:
        return None
    if not os.environ.get(variable, "").strip():
        raise InvalidInput("The environment variable that is to hold the clients' key is not set. Set it first.")
    return Secret(os.environ[variable])


def only_model(model: ServerModel, options: argparse.Namespace) -> ServerModel:
    """The model of a server by its name, which clients have to know."""
    if model.model:
        return model
    names = model.list_models(on_notice=complain)
    if len(names) != 1:
        raise InvalidInput(
            f"{options.server} has {', '.join(names[:20]) or 'no models'}. Name one with --server-model."
        )
    return connect(model.profile, names[0], limits=model.limits)


def prompting_options(options: argparse.Namespace) -> argparse.Namespace:
    """The options as the command `prompt` has them, for the model that prompts."""
    said = {"model": options.prompted_by, "answer": None, "hint_words": (), "max_new_tokens": None}
    if options.prompted_by and not names_lvlm(options.prompted_by):  # these are then for the model that answers alone
        said |= {"max_pixels": 0, "resize": None, "system_prompt": ""}
    return argparse.Namespace(**{**vars(options), **said})


def prompter_of(
    options: argparse.Namespace, of_prompter: argparse.Namespace, answering: LvlmModel | ServerModel | None
) -> Prompter | None:
    """What prompts a picture. answering: the model that answers, where the same prompts."""
    if not options.prompted_by:
        return None
    if isinstance(answering, LvlmModel):
        loaded: ClipModel | LvlmModel = answering
        answering.resolve_layers(options.layers)
    else:
        loaded = load_model(of_prompter, names_lvlm(options.prompted_by))
    how = {
        **reading_options(of_prompter),
        "mask": chosen_mask(options),
        "style": chosen_style(options),
        "strength": given(options, "strength"),
    }

    def prompt(picture: Tensor, query: str, on_progress: Progress) -> PromptedPicture:
        return prompt_picture(picture, query, model=loaded, on_progress=on_progress, **how)

    return prompt
