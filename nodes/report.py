"""What a person who asks for help pastes into an issue, for the page's command *Copy report*."""

import asyncio

from aiohttp import web

from . import host

PATH = "/attention_prompting/report"


async def answer(_: web.Request) -> web.Response:
    return web.Response(text=await asyncio.to_thread(make), headers={"Cache-Control": "no-store"})


def make() -> str:
    """What this machine is, without keys and names, and a check of the embedded models where ComfyUI runs models."""
    from ..api_core.doctor.checks import check_embedded, guarded
    from ..api_core.doctor.machine import machine_facts

    facts = machine_facts(host.model_folders(), host.settings_folder())
    checks = guarded("Embedded models", lambda: check_embedded(str(host.load_device())))
    return "\n".join([*map(str, facts), "", *map(str, checks)]) + "\n"
