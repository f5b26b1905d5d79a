"""The page's command that copies a report to paste into an issue."""

import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage

pytestmark = pytest.mark.host


@RENDERERS
def test_the_report_is_in_the_clipboard_and_a_message_says_so(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.command("attention-prompting.copy-report")
    page.page.get_by_text("Report copied").first.wait_for(timeout=60_000)
    report = page.page.evaluate("() => navigator.clipboard.readText()")
    assert "which runs this" in report
    assert "Folders of text_encoders: " in report
    assert "ok  CLIP map, cpu fp32" in report
    assert "BAD" not in report
