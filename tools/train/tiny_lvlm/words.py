"""The tokenizer (whole words, lower case, punctuation apart), the chat template and the processor."""

from __future__ import annotations

import re
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

from api_core.scenes.questions import NUMBER_WORDS, RELATIONS, SIDES

from ..texts import vocabulary
from ..wordings import QUESTION_WORDINGS
from .bank import PATCH, SIDE

PAD, START, END, UNKNOWN, IMAGE = "<pad>", "<s>", "</s>", "<unk>", "<image>"
SPECIAL = (PAD, START, END, UNKNOWN, IMAGE)
_WORD = r"[a-z]+|[0-9]|[^\sa-z0-9]"
MEAN = STD = (0.5, 0.5, 0.5)
CONTEXT = 2048

# what people, system prompts and prompt templates are likely to say around a question
EVERYDAY = """
about above absent accordingly accurate actually add additional after again all along also although always am among
amount an analyse analyze annotated another answers any anything appear appears appropriate are area areas around as
ask asked assistant assume attached attend attended attention aware away back based because become before begin behind
being below beside best better between beyond bit blank blind bluish blurred blurry both boxes briefly bright brighten
brighter brightness broad but by call called came camera can cannot capable careful carefully case category certain
certainly chat check choose circle circled clear clearly close closely colorful colourful come compare comparison
complete comprehensive concise conclude conclusion confident confirm consider contain contains content context
conversation copy correct correctly could curious current cut cyan dark darkened darker darkness decide depict
depicted depicts describe description designed detail detailed details determine did difference different dim direct
directly discuss distinguish does done dot dots draw drawing drawings drawn dull each earlier easy edge eight either
else emphasis emphasised emphasize emphasized empty end english enough entire error errors evaluate even ever every
everything evidence exactly examine example expert explain explanation fact facts faded fair false far few figure
figures final finally first fit focus focused focusing follow following follows for form former found four frame
frames full further general generate give given gives go going gold good great greenish grey ground guess guide half
hand hard has hat heat heatmap heed held hello help helpful hence hidden high highlight highlighted highlighting hint
hints hold honest horizontal human human-like hundred idea if ignore image images imagine important improve in
inaccurate including incorrect indicate indicated indicates information initial input inside instead instruction
instructions intelligent interested into invent involved itself just keep kept key kind kinds know knowledge known
language large largely last later latter least left length less let letter letters level lies light like likely
limited line list listed little located location long look looking looks lot lower made magenta main mainly make
making manner many map marked maroon mask masked match may maybe me mean mention mentioned middle might mind mistake
mistakes model moment more most much multiple must name named names natural near nearly necessary need never new next
nice nine no noisy nor normal note noted nothing notice now number numbers obscured observe observed obvious off often
ok okay old once only open opinion option options order original other others otherwise our out output outside over
overlay own page pair part particular particularly parts pattern pay people perform perhaps photograph photographs
photos phrase pictures pixel pixels place placed places plain plainly please point polite position possible precise
present preserve previous previously probably problem prompt prompted properly properties property provide provided
purpose questions quick quickly quite rather read reader reading reads really reason reasoning reconsider reddish
refer reflect region regions relation relative relevant rely remain remember reply required respond response rest
result rethink reveal revise right role round rule rules s same scene second seem seems sees select self sentence
sentences separate seven several shaded shadow shall shape shapes short shortly should show shown shows side sides
silver similar similarly simple simply since single situated size sizes small so solid solve some someone something
sometimes somewhere soon sorry spatial specific specify spot spots stand standard start state statement step steps
still strong such suggest sum summarize summary support suppose sure surely surface system t take taken target task
teal tell ten text than thank thanks that their them then there these they think thinking third thorough those though
thought thoughts three through thus till times title to together too took touch toward true truly truth truthful try
turn twice type under understand understanding unknown unless unsure until up update upon upper us use used useful
user uses using usually value variety various verify version versus vertical very view views visible vision visual
wait want wanted wants was way well went were whether while whole whose wide wish within without word words work would
write written wrong yellowish yet you your yours yourself
"""
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful vision assistant. Answer the question about the picture.",
    "You are a helpful language and vision assistant.",
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions.",
    "Answer briefly.",
    "Look at the picture carefully and answer the question.",
    "You look at pictures of coloured shapes. Answer with one word.",
    "Be honest. Only say what you see.",
)
# put before or after a question; {q} is the question, {p} words that look like a former answer
AROUND = (
    "{q}\nAnswer the question using a single word or phrase.",
    "{q} Answer with one word.",
    "{q} Please answer briefly.",
    "{q} Let's think step by step.",
    "{q} Think step by step, then give the final answer.",
    "{q} The important part of the picture is highlighted.",
    "The darkened parts of the picture are less important. {q}",
    "Hint: the relevant region is brighter, other parts are masked. {q}",
    "Please look at the picture carefully. {q}",
    "Please answer the following question about the image: {q}",
    "Question: {q} Answer:",
    "Question: {q}",
    "{q} Your previous answer was: {p}. Check it and answer again.",
    "Previous answer: {p}. Now look at the picture again. {q}",
    "{q} Only say what you see.",
)

CHAT_TEMPLATE = """\
{%- macro text_of(content) -%}
{%- if content is string -%}{{ content | trim }}
{%- else -%}{%- for part in content if part['type'] == 'text' -%}{{ part['text'] | trim }}\
{%- if not loop.last %} {% endif -%}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{{ text_of(message['content']) + ' ' }}
{%- elif message['role'] == 'user' -%}
{{ 'USER: ' }}
{%- if message['content'] is not string -%}
{%- for part in message['content'] if part['type'] == 'image' -%}{{ '<image>\\n' }}{%- endfor -%}
{%- endif -%}
{{ text_of(message['content']) + ' ' }}
{%- else -%}{{ 'ASSISTANT: ' + text_of(message['content']) + '</s>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}
"""


def split_words(text: str) -> list[str]:
    """What the tokenizer makes of plain text, before words are looked up."""
    return re.findall(_WORD, text.lower())


def word_list() -> tuple[str, ...]:
    """The special tokens, then every word and sign, sorted."""
    words = set(vocabulary()) | set(NUMBER_WORDS) | set(SIDES) | set("0123456789") | set(".,:;?!'\"()[]{}<>-/%*#+=&@_`")
    texts = (*RELATIONS, EVERYDAY, "USER: ASSISTANT:", *SYSTEM_PROMPTS)
    texts += tuple(re.sub(r"\{\w\}", " ", text) for group in (*QUESTION_WORDINGS.values(), AROUND) for text in group)
    for text in texts:
        words |= set(split_words(text))
    return (*SPECIAL, *sorted(words))


def build_tokenizer() -> PreTrainedTokenizerFast:
    numbers = {word: number for number, word in enumerate(word_list())}
    core = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    core.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(_WORD), behavior="isolated")]
    )
    core.decoder = decoders.WordPiece(prefix="##", cleanup=True)  # spaces between words, none before a full stop
    core.add_special_tokens(list(SPECIAL))
    core.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, numbers[START])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        pad_token=PAD,
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> LlavaProcessor:
    """The whole picture, stretched to the square, is what the model sees: nothing is cropped."""
    side = {"height": SIDE, "width": SIDE}
    pictures = CLIPImageProcessor(
        do_resize=True, size=side, resample=3, do_center_crop=False, crop_size=side, do_rescale=True,
        do_normalize=True, image_mean=list(MEAN), image_std=list(STD), do_convert_rgb=True,
    )  # fmt: skip
    arguments: dict[str, Any] = {"patch_size": PATCH, "vision_feature_select_strategy": "default"}
    return LlavaProcessor(
        pictures,
        build_tokenizer(),
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=1,
        **arguments,
    )
