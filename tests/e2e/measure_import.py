"""Print, as JSON, what importing the pack costs in a process where ComfyUI is already imported.

Arguments: ComfyUI's folder, the pack's folder, a folder for its compiled files. No network: sockets are refused.
"""

import asyncio
import compileall
import importlib.util
import json
import socket
import sys
import time

comfyui, root, compiled = sys.argv[1:4]
sys.argv = sys.argv[:1]
sys.path.insert(0, comfyui)
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
sys.argv += ["--cpu"]
import utils.extra_config  # noqa: E402, F401  (early, as in its main: a later import hides the name)

# isort: split
import comfy_api.latest  # noqa: E402, F401
import server  # noqa: E402, F401

import nodes  # noqa: E402  (ComfyUI's: torch, comfy.* and what they bring)

HEAVY = ("open_clip", "transformers", "timm", "huggingface_hub", "openai", "httpx", "PIL.ImageQt", "matplotlib", "cv2")


def refuse(*_: object, **__: object) -> None:
    raise OSError("The pack used the network while it was imported.")


sys.pycache_prefix = compiled
compileall.compile_file(f"{root}/__init__.py", quiet=1)
for folder in ("nodes", "api_core"):
    compileall.compile_dir(f"{root}/{folder}", quiet=1)
before = set(sys.modules)
socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
start = time.process_time()  # what else this machine does is not ours
spec = importlib.util.spec_from_file_location("pack", f"{root}/__init__.py", submodule_search_locations=[root])
assert spec is not None and spec.loader is not None  # noqa: PT018
pack = importlib.util.module_from_spec(spec)
sys.modules["pack"] = pack
spec.loader.exec_module(pack)
extension = asyncio.run(pack.comfy_entrypoint())
found = asyncio.run(extension.get_node_list())
for node in found:
    node.GET_SCHEMA()
seconds = time.process_time() - start
new = set(sys.modules) - before
assert nodes.NODE_CLASS_MAPPINGS
print(  # noqa: T201
    json.dumps({"seconds": seconds, "nodes": len(found), "new_heavy": sorted(new & set(HEAVY)), "new": len(new)})
)
