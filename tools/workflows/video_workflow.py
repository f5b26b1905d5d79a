"""The shipped workflow of a video: a thing is named once, and every frame is prompted, without flicker."""

from PIL import Image
from shared_nodes import CLIP, NOTE_COLUMN, PICTURE, demo_scene, fade, load_clip, overlay_links, scene_text, tune
from workflow_spec import THUMBNAIL, Node, Pictures, Story, note

FPS = 12
PROMPTED = "The prompted video"
FRAMES = ("parts", "images")


def four_frames(pictures: Pictures) -> Image.Image:
    """Frames of the prompted video in which the thing is in sight, two by two."""
    frames = pictures[PROMPTED]
    first, *_ = shown = [frames[len(frames) * number // 6] for number in range(1, 5)]
    joined = Image.new("RGB", (2 * first.width, 2 * first.height))
    for number, frame in enumerate(shown):
        joined.paste(frame, (number % 2 * first.width, number // 2 * first.height))
    joined.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return joined


VIDEO = Story(
    name="Attention prompt - video",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d0c",
    nodes=(
        demo_scene((0, 0), 756, (380, 240), width=640, height=384, objects=5, frames=48),
        scene_text((0, 300)),
        Node("demo video", "CreateVideo", (0, 500), (380, 130), "Demo Scene as a video", {"fps": FPS}),
        Node("yours", "LoadVideo", (0, 690), (380, 120), "Your video, in place of the demo", {"file": ""}),
        Node("parts", "GetVideoComponents", (440, 500), (360, 120)),
        load_clip((440, 0), width=360),
        Node("heatmap", "AttnPromptCLIPHeatmap", (860, 0), (380, 330), values={"query": "the orange cross"}),
        tune("mask", (1300, 0), width=360, values={"scale": "whole batch", "steady": 1}),
        fade("overlay", (1720, 0), width=340, **{"style.level": 30}),
        Node("video", "CreateVideo", (1720, 560), (340, 130)),
        Node("save", "SaveVideo", (2120, 0), (440, 420), PROMPTED, {"filename_prefix": "video/attention-prompt"}),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 390),
            """
## A thing is named once, in every frame

A video's frames are a batch of pictures, so the chain is the usual one. Two settings of **Smooth & Enhance Mask** make
it steady: **scale** *whole batch* measures all frames together, so that little else lights up when the thing is not in
sight, and **steady** 1 takes the mean over a frame and its neighbours. Off the thing the mask flickers less than half
as much as frame by frame.

Press **Run**. Nothing is downloaded: Demo Scene draws the clip, and *tiny-clip* knows *drawn shapes*. The number of
frames a second, the sound and the bit depth pass by unchanged.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 450),
            (380, 420),
            """
### What to change first

1. **Your video**: choose it in *Load Video* and draw a line from its *VIDEO* to *Get Video Components*. Choose a model
   for photographs in *Load CLIP*, such as ViT-L-14-336/openai.
2. **query** (CLIP Heatmap): what to follow.
3. **style** (Overlay Attention): *blur* or *outline* in place of *fade*; the mask also goes into any other node that
   takes masks.
4. **every** (CLIP Heatmap) 2 reads every other frame and takes half of the time; what moves fast is followed less well.
5. **steady** 2 or more is for clips in which little moves.

ComfyUI holds all frames of a video at once: 10 seconds of 720p are 3 GB. Cut long ones with *Trim Video*.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        (*PICTURE, "demo video", "images"),
        ("demo video", "VIDEO", "parts", "video"),
        (*CLIP, "heatmap", "clip"),
        (*FRAMES, "heatmap", "image"),
        *overlay_links("heatmap", "mask", "overlay", FRAMES),
        ("overlay", "image", "video", "images"),
        ("parts", "audio", "video", "audio"),
        ("parts", "fps", "video", "fps"),
        ("parts", "bit_depth", "video", "bit_depth"),
        ("video", "VIDEO", "save", "video"),
    ),
    thumbnail=four_frames,
)

STORIES = (VIDEO,)
