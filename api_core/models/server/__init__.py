"""Models that answer on a server: any OpenAI-compatible chat endpoint (vLLM, SGLang, Ollama, LM Studio, llama.cpp …).

`connect(profile, model)` makes a `ServerModel`; `profiles` says where servers are and where their keys come from;
`probe` finds out whether a model looks at pictures. The client library is loaded when a server is asked, not before.
"""

from ...user_folder import default_folder
from ..catalog import PRESETS
from .model import ServerModel, connect
from .openai_client import REQUIREMENT, Limits
from .profiles import (
    Profile,
    find_profile,
    list_profiles,
    remove_profile,
    save_profile,
)
from .read_stream import ServerReply
from .secret import Secret
from .vision_check import Probe, probe

__all__ = [
    "PRESETS",
    "REQUIREMENT",
    "Limits",
    "Probe",
    "Profile",
    "Secret",
    "ServerModel",
    "ServerReply",
    "connect",
    "default_folder",
    "find_profile",
    "list_profiles",
    "probe",
    "remove_profile",
    "save_profile",
]
