"""The subgraph blueprints that ship: chains of nodes as one node of ComfyUI's library."""

from answer_workflow import CHAIN, magnify, surer_answer
from blueprint import Blueprint
from shared_nodes import load_clip, load_lvlm, tune
from workflow_spec import Link, Node, Story

FROM_CLIP_TO_OVERLAY: tuple[Link, ...] = (
    ("clip", "clip", "heatmap", "clip"),
    ("heatmap", "heatmap", "mask", "heatmap"),
    ("mask", "mask", "overlay", "mask"),
)
HEATMAP = Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (400, 300), values={"query": "the red star"})

PROMPT = Blueprint(
    inside=Story(
        name="Attention prompt",
        id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1db1",
        nodes=(
            load_clip((0, 0)),
            HEATMAP,
            tune("mask", (900, 0), width=360),
            Node(
                "overlay", "AttnPromptOverlay", (1320, 0), (360, 180), values={"strength": 1.0, "style": "fade to grey"}
            ),
        ),
        links=FROM_CLIP_TO_OVERLAY,
        thumbnail=None,
    ),
    description=(
        "Shows a vision-language model where to look: a CLIP finds what the question is about, and the rest of the "
        "picture fades. Give the picture that comes out, and the same question, to any model that answers."
    ),
    inputs={
        "image": ("heatmap", "image"),
        "question": ("heatmap", "query"),
        "model": ("clip", "model"),
        "allow_download": ("clip", "allow_download"),
        "contrast": ("mask", "contrast"),
        "smoothing": ("mask", "smoothing"),
        "strength": ("overlay", "strength"),
    },
    also={"image": (("overlay", "image"),)},
    outputs={"image": ("overlay", "image"), "mask": ("mask", "mask")},
)

ANSWER = Blueprint(
    inside=Story(
        name="Better answer",
        id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a7f1db2",
        nodes=(
            load_clip((0, 0)),
            load_lvlm((0, 200)),
            HEATMAP,
            tune("mask", (900, 0), width=360),
            magnify("overlay", (1320, 0)),
            surer_answer("surer", (1760, 0)),
        ),
        links=(*FROM_CLIP_TO_OVERLAY, *CHAIN[1:]),
        thumbnail=None,
    ),
    description=(
        "Asks a vision-language model about a picture. Where it is not sure, what the question is about is magnified "
        "and the question asked again; the surer answer is kept. Out come the answer, how sure, and its picture."
    ),
    inputs={
        "image": ("heatmap", "image"),
        "question": ("heatmap", "query"),
        "lvlm": ("lvlm", "model"),
        "clip": ("clip", "model"),
        "allow_download": ("lvlm", "allow_download"),
        "strength": ("overlay", "strength"),
        "skip_above": ("surer", "skip_above"),
        "max_new_tokens": ("surer", "max_new_tokens"),
    },
    also={
        "image": (("overlay", "image"), ("surer", "image")),
        "question": (("surer", "question"),),
        "allow_download": (("clip", "allow_download"),),
    },
    outputs={
        "answer": ("surer", "answer"),
        "confidence": ("surer", "confidence"),
        "image": ("surer", "image"),
        "which": ("surer", "which"),
    },
)

BLUEPRINTS = (PROMPT, ANSWER)
