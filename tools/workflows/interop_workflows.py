"""The shipped workflows that hand on to ComfyUI's own nodes, or to a server."""

from shared_nodes import (
    CLIP,
    NOTE_COLUMN,
    PHOTO,
    PICTURE,
    QUESTION,
    QWEN,
    SAM_3,
    SD_15,
    SERVER,
    VIT_L,
    ask,
    ask_links,
    demo_scene,
    fade,
    load_clip,
    overlay_links,
    question,
    scene_text,
    shown,
    text,
    tune,
)
from workflow_spec import Node, Story, note

EXAMPLE = {"image": "example.png"}
BOXES, PARTS = "The boxes that were found", "The parts, cut out"

SERVERS = Story(
    name="Attention prompt - servers and ComfyUI's own models",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d05",
    nodes=(
        Node("picture", "LoadImage", (0, 0), (380, 330), values=EXAMPLE),
        question((0, 400), "What does she wear?"),
        load_clip((0, 580), "ViT-L-14-336/openai"),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the dress"}),
        tune("mask", (440, 760), width=380),
        fade("overlay", (880, 0), width=360),
        Node("server", "AttnPromptConnectServer", (880, 460), (360, 120), values={"profile": "ollama", "model": ""}),
        ask("plain ask", (1300, -440), "Ask the server: the plain picture"),
        text("plain answer", (1720, -440), "The server on the plain picture"),
        ask("ask", (1300, 0), "Ask the server: the prompted picture"),
        text("answer", (1720, 0), "The server on the prompted picture"),
        Node(
            "native",
            "CLIPLoader",
            (880, 660),
            (360, 140),
            values={"clip_name": QWEN["name"], "type": "stable_diffusion"},
        ),
        Node("generate", "TextGenerate", (1300, 460), (380, 400), values={"sampling_mode": "off"}),
        text("native answer", (1720, 460), "ComfyUI's own on the prompted picture"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 400),
            """
## Models that live elsewhere

The picture is prompted here, by a CLIP that needs no large GPU. Two others answer:

- **a server** (vLLM, SGLang, Ollama, LM Studio, llama.cpp, OpenAI …): choose its *profile* in **Connect LVLM Server**
  and write the model's name. No key is ever part of a workflow; the node's help page says where it goes.
- **ComfyUI's own** language models, through *Generate Text*: put the file that *Load CLIP* names into
  `models/text_encoders`.

Have only one of them? Select the other's nodes and press Ctrl+B to bypass, or delete them.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 460),
            (380, 260),
            """
### What to change first

1. **Your picture** in Load Image, **the question**, and the *query* of CLIP Heatmap: what the question is about.
2. *allow_download* in **Load CLIP** (Attention Prompting), once: 1.7 GB.
3. **template** of Ask LVLM: *masked hint* tells the model why parts of the picture are faded.
""",
        ),
    ),
    links=(
        (*CLIP, "heatmap", "clip"),
        (*PHOTO, "heatmap", "image"),
        *overlay_links("heatmap", "mask", "overlay", PHOTO),
        *ask_links("plain ask", PHOTO, SERVER),
        ("plain ask", "answer", "plain answer", "source"),
        *ask_links("ask", ("overlay", "image"), SERVER),
        ("ask", "answer", "answer", "source"),
        ("native", "CLIP", "generate", "clip"),
        ("overlay", "image", "generate", "image"),
        (*QUESTION, "generate", "prompt"),
        ("generate", "generated_text", "native answer", "source"),
    ),
    thumbnail=None,
    models={"CLIPLoader": [QWEN], "AttnPromptLoadCLIP": [VIT_L]},
)

REGIONS = Story(
    name="Attention prompt - regions cut out with SAM 3",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d08",
    nodes=(
        demo_scene((0, 0), 739),
        scene_text((0, 270)),
        load_clip((0, 470)),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the star"}),
        tune("mask", (440, 760), width=380),
        Node("regions", "AttnPromptFindRegions", (880, 0), (340, 180), values={"threshold": 0.5, "padding": 12}),
        Node("draw", "DrawBBoxes", (880, 250), (340, 80)),
        shown("boxes", (880, 440), (340, 290), BOXES),
        shown("parts", (1280, 440), (340, 290), PARTS),
        Node("load sam", "CheckpointLoaderSimple", (1280, 0), (340, 110), values={"ckpt_name": SAM_3["name"]}),
        Node("sam", "SAM3_Detect", (1280, 170), (340, 200)),
        Node(
            "edges",
            "AttnPromptOverlay",
            (1680, 0),
            (360, 200),
            values={"strength": 1.0, "style": "fade to grey", "style.level": 40},
        ),
        shown("cut", (1680, 480), (360, 300), "With SAM's edges"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 350),
            """
## Attention says where, SAM 3 finds the edge

**CLIP Heatmap** knows what you ask for but sees in patches, so its mask has soft edges. **Find Regions** makes a box of
each bright part, and ComfyUI's own *SAM3 Detect* traces the thing in each box, pixel by pixel.

Press **Run**: boxes and cut-out parts need no download (*tiny-clip* ships with the pack and knows *drawn shapes*). For
the edges put the file that *Load Checkpoint* names into `models/checkpoints`; without it, select the three nodes on the
right and press Ctrl+B.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 410),
            (380, 380),
            """
### What to change first

1. **query** (CLIP Heatmap), and *max_regions* of Find Regions: how many things at most.
2. **threshold** (Find Regions): lower for larger boxes; **padding**: how much room around each. SAM wants all of the
   thing in its box.
3. **points** in place of *bboxes*, into *positive_coords*: the brightest point of each region, for one thing that the
   box cuts.
4. *Load Image* in place of Demo Scene and another **model** in Load CLIP, for photographs.

The mask is an ordinary one: use it in any node that takes a mask.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        (*CLIP, "heatmap", "clip"),
        (*PICTURE, "heatmap", "image"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        ("mask", "mask", "regions", "mask"),
        (*PICTURE, "regions", "image"),
        ("regions", "bboxes", "draw", "bboxes"),
        (*PICTURE, "draw", "image"),
        ("draw", "out_image", "boxes", "images"),
        ("regions", "crop", "parts", "images"),
        ("load sam", "MODEL", "sam", "model"),
        (*PICTURE, "sam", "image"),
        ("regions", "bboxes", "sam", "bboxes"),
        (*PICTURE, "edges", "image"),
        ("sam", "masks", "edges", "mask"),
        ("edges", "image", "cut", "images"),
    ),
    thumbnail=None,
    models={"CheckpointLoaderSimple": [SAM_3]},
)

SCALED = ("scaled", "IMAGE")

INPAINT = Story(
    name="Attention prompt - repaint what you name",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d09",
    nodes=(
        Node("picture", "LoadImage", (0, 0), (380, 330), values=EXAMPLE),
        Node(
            "scaled",
            "ImageScaleToTotalPixels",
            (0, 400),
            (380, 130),
            values={"upscale_method": "lanczos", "megapixels": 0.26, "resolution_steps": 8},
        ),
        load_clip((0, 600), "ViT-L-14-336/openai"),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the dress"}),
        tune("mask", (440, 760), width=380, values={"threshold": 0.5, "grow": 12}),
        Node("mask shown", "MaskPreview", (880, 840), (380, 270), title="What is repainted"),
        Node("checkpoint", "CheckpointLoaderSimple", (880, 0), (380, 110), values={"ckpt_name": SD_15["name"]}),
        Node(
            "positive",
            "CLIPTextEncode",
            (880, 180),
            (380, 140),
            "What to paint",
            {"text": "a blue dress with white dots"},
        ),
        Node("negative", "CLIPTextEncode", (880, 390), (380, 120), "What to leave out", {"text": "text, watermark"}),
        Node("encode", "VAEEncode", (880, 580), (380, 60)),
        Node("noise mask", "SetLatentNoiseMask", (880, 710), (380, 60)),
        Node(
            "sampler",
            "KSampler",
            (1320, 0),
            (340, 280),
            values={"seed": 1, "control_after_generate": "fixed", "steps": 24, "cfg": 7.0, "denoise": 0.9},
        ),
        Node("decode", "VAEDecode", (1320, 350), (340, 60)),
        Node("composite", "ImageCompositeMasked", (1320, 480), (340, 160), title="The rest stays as it was"),
        Node("compare", "ImageCompare", (1720, 0), (420, 400), title="Before and after: drag the line"),
        Node("save", "SaveImage", (1720, 470), (420, 400), values={"filename_prefix": "repainted"}),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 350),
            """
## Repaint what you name

Text-guided inpainting: you write **what** to change, not where. A CLIP finds it, **Smooth & Enhance Mask** makes a hard
mask of it (*threshold*, then *grow*), and any diffusion model repaints that part; the rest of the picture is put back
untouched.

It needs two files: the CLIP (switch on *allow_download* in **Load CLIP** once, 1.7 GB) and the checkpoint that *Load
Checkpoint* names, in `models/checkpoints`; any other you have will do, choose it there.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 410),
            (380, 400),
            """
### What to change first

1. **query** (CLIP Heatmap): the thing to change, and *What to paint* in its place.
2. **threshold** (Smooth & Enhance Mask): lower marks more. Look at *What is repainted* first: it costs nothing.
3. **grow**: pixels around the thing; a new thing needs room. Set *threshold* to 0 for a soft mask, with *Differential
   Diffusion* between the checkpoint and the sampler.
4. **denoise** (KSampler): 1 forgets what was there, 0.5 only tints it.
5. **megapixels**: what your checkpoint likes; 0.26 is 512 x 512, 1.05 is 1024 x 1024.
""",
        ),
    ),
    links=(
        (*PHOTO, "scaled", "image"),
        (*CLIP, "heatmap", "clip"),
        (*SCALED, "heatmap", "image"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        ("mask", "mask", "mask shown", "mask"),
        ("checkpoint", "CLIP", "positive", "clip"),
        ("checkpoint", "CLIP", "negative", "clip"),
        (*SCALED, "encode", "pixels"),
        ("checkpoint", "VAE", "encode", "vae"),
        ("encode", "LATENT", "noise mask", "samples"),
        ("mask", "mask", "noise mask", "mask"),
        ("checkpoint", "MODEL", "sampler", "model"),
        ("positive", "CONDITIONING", "sampler", "positive"),
        ("negative", "CONDITIONING", "sampler", "negative"),
        ("noise mask", "LATENT", "sampler", "latent_image"),
        ("sampler", "LATENT", "decode", "samples"),
        ("checkpoint", "VAE", "decode", "vae"),
        (*SCALED, "composite", "destination"),
        ("decode", "IMAGE", "composite", "source"),
        ("mask", "mask", "composite", "mask"),
        (*SCALED, "compare", "image_a"),
        ("composite", "IMAGE", "compare", "image_b"),
        ("composite", "IMAGE", "save", "images"),
    ),
    thumbnail=None,
    models={"CheckpointLoaderSimple": [SD_15], "AttnPromptLoadCLIP": [VIT_L]},
)

STORIES = (SERVERS, REGIONS, INPAINT)
