"""The official client library asks the endpoint, whole and streaming; the answers are those of `ask`."""

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pack.api_core.answering import Sample, ask, ask_surest
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.models.server import Profile, Secret, connect
from pack.api_core.overlay import MagnifyStyle
from pack.api_core.pictures import flatten_alpha
from pack.api_core.progress import ignore_progress
from pack.api_core.prompting import prompt_picture
from pack.api_core.serving.endpoint import Endpoint
from pack.api_core.serving.prompt_then_answer import Prompter, Serving
from pack.api_core.serving.read_messages import Conversation, Message
from pack.tests.core.serving.conftest import QUESTION, chat, send, served, user
from pack.tests.servers.process import running
from torch import Tensor

Client = Callable[..., Any]
QUESTIONS = [QUESTION, "how many stars are there?", "what color is the star?", "Describe the picture."]


def streamed(client: Any, **request: Any) -> tuple[str, list[str], Any]:
    """The text, its pieces, and the last chunk that has a choice."""
    pieces, last = [], None
    for chunk in client.chat.completions.create(stream=True, **request):
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")
            last = chunk
    return "".join(pieces), pieces, last


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("picture_first", [True, False])
def test_whole_and_streamed_answers_are_those_of_ask(
    plain: Endpoint, openai_client: Client, tiny: LvlmModel, scene: Tensor, question: str, picture_first: bool
) -> None:
    (local,) = ask(tiny, [scene], question, max_new_tokens=12)
    parts = (scene, question) if picture_first else (question, scene)
    client, request = openai_client(plain), chat(user(*parts))
    whole = client.chat.completions.create(**request)
    text, pieces, last = streamed(client, **request)
    assert whole.choices[0].message.content == text == local.text
    assert whole.choices[0].finish_reason == last.choices[0].finish_reason == ("stop" if local.complete else "length")
    assert whole.usage.completion_tokens == len(local.token_ids) == local.answer_tokens
    assert whole.usage.prompt_tokens == local.prompt_tokens
    assert whole.attention_prompting["confidence"] == pytest.approx(local.confidence)
    assert len(text.split()) < 2 or sum(map(bool, pieces)) > 1


def test_a_long_answer_streams_as_it_is_written(
    openai_client: Client, lvlm: Callable[[str], Any], scene: Tensor
) -> None:
    model = lvlm("qwen2.5-vl")
    (local,) = ask(model, [scene], QUESTION, max_new_tokens=40)
    with served(Serving(model, "tiny-lvlm")) as endpoint:
        text, pieces, _ = streamed(openai_client(endpoint), **chat(user(scene, QUESTION), max_tokens=40))
    assert text == local.text
    assert sum(map(bool, pieces)) > 5


def test_the_picture_is_prompted_with_the_first_line(
    prompting: Endpoint, openai_client: Client, tiny: LvlmModel, prompter: Prompter, scene: Tensor
) -> None:
    question = f"{QUESTION}\nAnswer the question using a single word or phrase."
    drawn = flatten_alpha(prompter(scene, QUESTION, ignore_progress).picture)
    (local,) = ask(tiny, [drawn], question, max_new_tokens=12)
    found = openai_client(prompting).chat.completions.create(**chat(user(scene, question)))
    assert found.choices[0].message.content == local.text
    assert found.attention_prompting["confidence"] == pytest.approx(local.confidence, rel=1e-9)
    assert found.attention_prompting["picture"] == "prompted"
    assert found.attention_prompting["presence"] == prompter(scene, QUESTION, ignore_progress).presence
    (unprompted,) = ask(tiny, [scene], question, max_new_tokens=12)
    assert unprompted.confidence != pytest.approx(local.confidence, rel=1e-9)


def test_query_whole_and_the_original_beside(
    openai_client: Client, tiny: LvlmModel, prompter: Prompter, scene: Tensor
) -> None:
    question = f"{QUESTION}\nthe star"
    drawn = flatten_alpha(prompter(scene, question, ignore_progress).picture)
    (local,) = ask(tiny, [scene], question, more_pictures=[[drawn]], max_new_tokens=12)
    with served(Serving(tiny, "tiny-lvlm", prompter, query="whole", with_original=True)) as endpoint:
        found = openai_client(endpoint).chat.completions.create(**chat(user(scene, question)))
    assert found.choices[0].message.content == local.text
    assert found.attention_prompting["confidence"] == pytest.approx(local.confidence, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Hint: look well\nQuestion: the star\nOptions:\nA. red\nB. blue\nPick one.", "the star"),
        ("the star\nAnswer with one word.", "the star"),
        ("Question:\nthe star\nAnswer:", "the star"),
        ("the star\nQuestion:", "the star"),
    ],
)
def test_query_question_is_what_follows_the_word(prompter: Prompter, tiny: LvlmModel, text: str, query: str) -> None:
    serving = Serving(tiny, "tiny-lvlm", prompter, query="question")
    assert serving.query_of(Conversation("", (Message("user", (text,)),))) == query


def test_only_the_first_picture_of_the_last_turn_is_prompted(
    prompter: Prompter, openai_client: Client, scene: Tensor, long_scene: Tensor
) -> None:
    small = long_scene[::3, ::3].contiguous()
    drawn = flatten_alpha(prompter(scene, QUESTION, ignore_progress).picture)
    with running() as behind:
        model = connect(Profile("behind", behind.address), "scripted-lvlm")
        with served(Serving(model, "scripted-lvlm", prompter)) as endpoint:
            earlier = [
                {"role": "system", "content": "be brief"},
                user(scene, "hello"),
                {"role": "assistant", "content": "hi"},
            ]
            request = chat(*earlier, user(scene, small, QUESTION)) | {"model": "scripted-lvlm"}
            found = openai_client(endpoint).chat.completions.create(**request)
        (asked,) = behind.requests
    assert asked["texts"] == ["be brief", "hello", "hi", QUESTION]
    assert found.choices[0].message.content == f"answer to {QUESTION} with 3 pictures"
    corners = [tuple(round(255 * float(level)) for level in picture[0, 0]) for picture in (scene, drawn, small)]
    assert [tuple(one["corner"]) for one in asked["pictures"]] == corners
    assert corners[0] != corners[1]


def test_settings_are_honoured(
    plain: Endpoint, openai_client: Client, lvlm: Callable[[str], Any], scene: Tensor
) -> None:
    model = lvlm("qwen2.5-vl")
    drawn = Sample(0.9, top_p=0.8, seed=7)
    (local,) = ask(model, [scene], QUESTION, max_new_tokens=12, decoding=drawn)
    (usual,) = ask(model, [scene], QUESTION, max_new_tokens=12)
    with served(Serving(model, "tiny-lvlm")) as endpoint:
        client = openai_client(endpoint)
        request = chat(user(scene, QUESTION), temperature=0.9, top_p=0.8, seed=7)
        found = client.chat.completions.create(**request)
        greedy = client.chat.completions.create(**(request | {"temperature": 0}))
    assert found.choices[0].message.content == local.text != usual.text
    assert greedy.choices[0].message.content == usual.text


@pytest.mark.parametrize("stream", [True, False])
def test_stop_ends_the_answer_and_the_work(
    openai_client: Client, lvlm: Callable[[str], Any], scene: Tensor, stream: bool
) -> None:
    model = lvlm("qwen2.5-vl")
    (whole,) = ask(model, [scene], QUESTION, max_new_tokens=30)
    stop = whole.text[len(whole.text) // 2 :][:3]
    expected = whole.text[: whole.text.index(stop)].rstrip()
    request = chat(user(scene, QUESTION), max_tokens=4000, stop=[stop, "never there"])
    with served(Serving(model, "tiny-lvlm")) as endpoint:
        client = openai_client(endpoint)
        if stream:
            text, _, last = streamed(client, **request)
            assert last.choices[0].finish_reason == "stop"
        else:
            found = client.chat.completions.create(**request)
            text = found.choices[0].message.content
            assert 0 < found.usage.completion_tokens < 40
            assert found.choices[0].finish_reason == "stop"
    assert text == expected


def test_a_limit_is_told(plain: Endpoint, openai_client: Client, scene: Tensor) -> None:
    found = openai_client(plain).chat.completions.create(**chat(user(scene, "Describe the picture."), max_tokens=2))
    assert (found.choices[0].finish_reason, found.usage.completion_tokens) == ("length", 2)
    chunks = list(
        openai_client(plain).chat.completions.create(
            **chat(user(scene, QUESTION)), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens


def test_the_surer_answer_is_kept(
    openai_client: Client, tiny: LvlmModel, prompter: Prompter, long_scene: Tensor
) -> None:
    question = "Where is the heart?"

    def magnified(picture: Tensor, query: str, on_progress: Any) -> Any:
        return prompt_picture(picture, query, model="tiny-clip", style=MagnifyStyle(), on_progress=on_progress)

    drawn = flatten_alpha(magnified(long_scene, question, ignore_progress).picture)
    (local,) = ask_surest(tiny, [long_scene], [[drawn]], question, max_new_tokens=12)
    with served(Serving(tiny, "tiny-lvlm", magnified, skip_above=0.995)) as endpoint:
        client = openai_client(endpoint)
        found = client.chat.completions.create(**chat(user(long_scene, question)))
        text, _, last = streamed(client, **chat(user(long_scene, question)))
        with pytest.raises(Exception, match="greedily"):
            client.chat.completions.create(**chat(user(long_scene, question), temperature=1))
    assert found.choices[0].message.content == text == local.answer.text == "right"
    assert found.attention_prompting["picture"] == last.attention_prompting["picture"] == "prompted"
    assert [one["answer"] for one in found.attention_prompting["asked"]] == ["left", "right"]


def test_log_probabilities_let_another_keep_the_surer_answer(
    plain: Endpoint, openai_client: Client, tiny: LvlmModel, scene: Tensor
) -> None:
    (local,) = ask(tiny, [scene], QUESTION, max_new_tokens=12)
    found = openai_client(plain).chat.completions.create(**chat(user(scene, QUESTION)), logprobs=True)
    told = found.choices[0].logprobs.content
    assert "".join(token.token for token in told).strip() == local.text
    assert math.exp(sum(token.logprob for token in told)) == pytest.approx(local.confidence)
    behind = connect(Profile("behind", plain.address), "tiny-lvlm")
    (asked,) = ask(behind, [scene], QUESTION, max_new_tokens=12, confidence=True)
    assert asked.confidence == pytest.approx(local.confidence)
    with pytest.raises(Exception, match="whole answers only"):
        openai_client(plain).chat.completions.create(**chat(user(scene, QUESTION)), logprobs=True, stream=True)


def test_two_clients_at_once_get_their_own_answers(
    prompting: Endpoint, openai_client: Client, scene: Tensor, long_scene: Tensor
) -> None:
    pictures = {"scene": scene, "long": long_scene[::2, ::2].contiguous()}
    work = [(name, question) for name in pictures for question in QUESTIONS]

    def one(name: str, question: str) -> tuple[str, float]:
        found = openai_client(prompting).chat.completions.create(**chat(user(pictures[name], question)))
        return found.choices[0].message.content, found.attention_prompting["confidence"]

    alone = [one(*each) for each in work]
    together: list[Any] = [None] * len(work)

    def run(start: int) -> None:
        for at in range(start, len(work), 2):
            together[at] = one(*work[at])

    threads = [threading.Thread(target=run, args=(start,)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert [sure for _, sure in together] == pytest.approx([sure for _, sure in alone], rel=1e-4)
    assert len({text for text, _ in alone}) > 2


@pytest.mark.parametrize("stream", [True, False])
def test_another_endpoint_is_asked_about_the_prompted_picture(
    plain: Endpoint, prompting: Endpoint, openai_client: Client, prompter: Prompter, scene: Tensor, stream: bool
) -> None:
    direct = openai_client(prompting).chat.completions.create(**chat(user(scene, QUESTION)))
    with served(Serving(connect(Profile("behind", plain.address), "tiny-lvlm"), "tiny-lvlm", prompter)) as endpoint:
        client = openai_client(endpoint)
        if stream:
            text, _, last = streamed(client, **chat(user(scene, QUESTION)))
            assert last.attention_prompting["picture"] == "prompted"
        else:
            found = client.chat.completions.create(**chat(user(scene, QUESTION)))
            text = found.choices[0].message.content
            assert found.usage == direct.usage
    assert text == direct.choices[0].message.content


def test_thinking_stands_apart(openai_client: Client) -> None:
    thought = {"kind": "none", "text": "<think>let me see</think> It is red."}
    with running() as behind, served(Serving(connect(Profile("b", behind.address), "scripted-lvlm"), "m")) as endpoint:
        request = chat(user("what is it?"), max_tokens=100) | {"model": "m"}
        behind.misbehave(thought, thought)
        found = openai_client(endpoint).chat.completions.create(**request)
        message = found.choices[0].message
        assert (message.content, message.reasoning_content) == ("It is red.", "let me see")
        deltas = [c.choices[0].delta for c in openai_client(endpoint).chat.completions.create(stream=True, **request)]
    assert "".join(delta.content or "" for delta in deltas) == "It is red."
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "let me see"


def test_a_server_behind_that_fails_is_told_of(openai_client: Client) -> None:
    openai = pytest.importorskip("openai")
    with running() as behind, served(Serving(connect(Profile("b", behind.address), "unknown"), "m")) as endpoint:
        for stream in (True, False):
            with pytest.raises(openai.APIStatusError, match="does not know the model 'unknown'") as caught:
                openai_client(endpoint).chat.completions.create(**chat(user("hm?"), stream=stream) | {"model": "m"})
            assert (caught.value.status_code, caught.value.code) == (502, "server_model")


def test_with_a_key_only_its_holders_are_answered(
    tiny: LvlmModel, openai_client: Client, scene: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = pytest.importorskip("openai")
    key = "sk-test-0123456789abcdef"
    with served(Serving(tiny, "tiny-lvlm"), key=Secret(key)) as endpoint:
        for wrong in ("sk-test-0123456789abcdeg", "none", "é"):
            with pytest.raises((openai.AuthenticationError, UnicodeEncodeError)):
                openai_client(endpoint, wrong).models.list()
        client = openai_client(endpoint, key)
        assert [model.id for model in client.models.list()] == ["tiny-lvlm"]
        assert client.models.retrieve("tiny-lvlm").id == "tiny-lvlm"
        assert client.chat.completions.create(**chat(user(scene, QUESTION))).choices[0].message.content
    assert key not in repr(vars(endpoint)) + repr(endpoint.service)


def test_what_is_too_large_is_refused_and_said(plain: Endpoint, openai_client: Client, scene: Tensor) -> None:
    openai = pytest.importorskip("openai")
    client = openai_client(plain)
    with pytest.raises(openai.APIStatusError, match="larger than 32 MB") as caught:
        client.chat.completions.create(**chat(user("x" * (33 << 20))))
    assert caught.value.status_code == 413
    # A client that sends all before it reads anything comes to read the answer too.
    assert send(plain, b"x" * (33 << 20))[0] == 413
    assert client.chat.completions.create(**chat(user(scene, QUESTION))).choices[0].message.content


def test_a_picture_of_many_megabytes_is_read(plain: Endpoint, openai_client: Client, tiny: LvlmModel) -> None:
    import torch

    noise = torch.rand(2000, 2400, 3, generator=torch.Generator().manual_seed(0)).mul(255).round().div(255)
    (local,) = ask(tiny, [noise], QUESTION, max_new_tokens=12)
    request = chat(user(noise, QUESTION))
    assert 18 << 20 < len(request["messages"][0]["content"][0]["image_url"]["url"]) < 32 << 20
    assert openai_client(plain).chat.completions.create(**request).choices[0].message.content == local.text
