"""An OpenAI-compatible chat endpoint that prompts the picture of a request, then answers or asks another server.

`endpoint` speaks HTTP, `read_request` and `read_messages` check what came, `request_queue` keeps requests in order,
`prompt_then_answer` does the work, `write_reply` makes what goes back.
"""

from .endpoint import Endpoint
from .prompt_then_answer import Serving

__all__ = ["Endpoint", "Serving"]
