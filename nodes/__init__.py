"""The ComfyUI layer: thin V3 nodes over the library. A node is a file and its name here."""

from comfy_api.latest import ComfyExtension, io

from . import host, report
from .ask import Ask
from .clip_heatmap import CLIPHeatmap
from .combine_heatmaps import CombineHeatmaps
from .compare_answers import CompareAnswers
from .connect_server import ConnectServer
from .demo_scene import DemoScene
from .explain import Explain
from .find_regions import FindRegions
from .load_clip import LoadCLIP
from .load_lvlm import LoadLVLM
from .lvlm_heatmap import LVLMHeatmap
from .map_back import MapBack
from .overlay import Overlay
from .pair_clip import PairCLIP
from .surer_answer import SurerAnswer
from .tune_mask import TuneMask
from .view import View

NODES: tuple[type[io.ComfyNode], ...] = (
    LoadCLIP,
    LoadLVLM,
    ConnectServer,
    CLIPHeatmap,
    CombineHeatmaps,
    LVLMHeatmap,
    TuneMask,
    Overlay,
    FindRegions,
    View,
    Ask,
    Explain,
    CompareAnswers,
    DemoScene,
    SurerAnswer,
    MapBack,
    PairCLIP,
)


class AttentionPrompting(ComfyExtension):
    async def on_load(self) -> None:
        host.register_model_folders()
        host.serve(report.PATH, report.answer)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return list(NODES)


def create_extension() -> AttentionPrompting:
    return AttentionPrompting()
