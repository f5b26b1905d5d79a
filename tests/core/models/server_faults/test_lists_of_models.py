"""What a server says it has, and whether a model of it sees pictures."""

import pytest
from pack.api_core.errors import ServerFailed
from pack.api_core.models.server import probe
from pack.tests.core.models.server_faults.asking import STATUS, model_of, require_no_key
from pack.tests.servers.process import ServerProcess

pytestmark = pytest.mark.slow  # each waits for a server of its own, or for its silence

PAGE = "<!DOCTYPE html><html><body>Welcome to the admin page</body></html>"


@pytest.mark.parametrize(
    ("body", "says"), [(PAGE, "web page"), ("{}", "chat answer"), ("[1, 2]", "chat answer"), ("{", "JSON")]
)
def test_a_list_of_models_that_is_none_is_explained(server: ServerProcess, body: str, says: str) -> None:
    kind = "text/html" if body == PAGE else "application/json"
    server.misbehave({"kind": "list", "on": "models", "body": body, "headers": {"Content-Type": kind}})
    with pytest.raises(ServerFailed, match=says) as caught:
        model_of(server).list_models()
    require_no_key(caught.value)


def test_the_models_are_listed_after_trouble(server: ServerProcess) -> None:
    server.misbehave({"kind": "list", "on": "models", "body": "{}", "status": 503})
    assert model_of(server).list_models() == ("scripted-lvlm",)


def test_a_model_that_sees_and_one_that_does_not_are_told_apart(server: ServerProcess) -> None:
    server.misbehave()
    assert probe(model_of(server)).sees is True
    server.misbehave(*[{"kind": "none", "text": "It is a lovely blue."}] * 3)
    blind = probe(model_of(server))
    assert blind.sees is False
    assert "does not look" in blind.reason
    server.misbehave(*[{**STATUS, "status": 400, "body": {"error": "image input is not supported"}}] * 3)
    assert probe(model_of(server)).sees is False
    server.misbehave(*[{"kind": "none", "text": text} for text in ("warm", "cold", "nice")])
    assert probe(model_of(server)).sees is None
    server.misbehave(*[{**STATUS, "status": 500}] * 9)
    with pytest.raises(ServerFailed):
        probe(model_of(server))
