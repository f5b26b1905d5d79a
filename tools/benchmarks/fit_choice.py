"""Which way of showing a picture that is not square finds the object best: python tools/benchmarks/fit_choice.py

Test scenes of several aspects, 3 to 5 objects, the pack's default mask for the model. Pointing: the peak lies in the
wanted object's box; first: its box is brighter than every other's; in per cent with 95 % intervals by picture.
"""

import argparse
import time
from collections import defaultdict

import torch

from api_core.attribution import clip_heatmap
from api_core.evaluation.scorers.localisation import score_map
from api_core.evaluation.tables import mean_with_interval
from api_core.masks import tune
from api_core.models.catalog import mask_defaults
from api_core.models.clip.load import load_clip
from api_core.scenes import SceneOptions, draw_scene, make_scene
from api_core.scenes.captions import with_article
from tools.train.evaluate_tiny_clip import PAIRS

ASPECTS = {"3:2": 1.5, "2:1": 2.0, "3:1": 3.0, "1:2": 0.5}
FITS = ("stretch", "letterbox", "crops")
LONG_SIDE = 448


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-clip")
    parser.add_argument("--scenes", type=int, default=100, help="pictures of each aspect")
    args = parser.parse_args()
    model = load_clip(args.model)
    defaults = mask_defaults(model.name)
    print(f"{'aspect':8}{'fit':12}{'n':>6}{'pointing':>16}{'first':>16}{'s/picture':>12}")
    for name, aspect in ASPECTS.items():
        scores = defaultdict(list)
        seconds = dict.fromkeys(FITS, 0.0)
        options = SceneOptions(objects=(3, 5), aspects=(aspect,), square_share=0)
        scale = LONG_SIDE / max(aspect, 1 / aspect) ** 0.5
        for number in range(args.scenes):
            scene = make_scene(number, "test", options)
            drawn = draw_scene(scene, round(scale * scene.height), round(scale * scene.width))
            picture = torch.from_numpy(drawn.picture)
            for concept in PAIRS:
                found = concept.found_in(scene)
                if len(found) != 1:
                    continue
                for fit in FITS:
                    start = time.perf_counter()
                    heatmap = clip_heatmap(model, [picture], with_article(concept.phrase), fit=fit, words=False)
                    seconds[fit] += time.perf_counter() - start
                    mask = tune(heatmap, contrast=defaults.contrast, smoothing=defaults.smoothing).masks[0].numpy()
                    scores[fit].append((number, score_map(mask, drawn.boxes, found[0])))
        for fit in FITS:
            groups = [number for number, _ in scores[fit]]
            cells = ""
            for value in ("pointing", "first"):
                mean, half = mean_with_interval([getattr(score, value) for _, score in scores[fit]], groups)
                cells += f"{100 * mean:9.1f} ±{100 * half:4.1f} "
            print(f"{name:8}{fit:12}{len(groups):6}{cells}{seconds[fit] / args.scenes:12.3f}")


if __name__ == "__main__":
    main()
