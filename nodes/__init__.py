"""The ComfyUI layer: thin V3 nodes over the library."""

from comfy_api.latest import ComfyExtension, io

from . import ask, attribution, compare, explain, host, load, lvlm_attribution, masks, overlay, regions, scene, view


class AttentionPrompting(ComfyExtension):
    async def on_load(self) -> None:
        host.register_model_folders()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            *load.NODES,
            *attribution.NODES,
            *lvlm_attribution.NODES,
            *masks.NODES,
            *overlay.NODES,
            *regions.NODES,
            *view.NODES,
            *ask.NODES,
            *explain.NODES,
            *compare.NODES,
            *scene.NODES,
        ]


def create_extension() -> AttentionPrompting:
    return AttentionPrompting()
