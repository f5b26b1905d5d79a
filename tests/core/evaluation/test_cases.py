"""Case files: what is read, and what each mistake is told with its line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.cases import QuestionCase, SceneReference, pictures_of
from pack.api_core.evaluation.readers.jsonl import read_cases
from pack.api_core.scenes import SceneOptions, draw_scene, make_scene
from PIL import Image

PLAIN = {"id": "a", "picture": "p.png", "question": "What is it?"}


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


def test_a_full_case_is_read(tmp_path: Path) -> None:
    line = {
        **PLAIN,
        "answers": ["cat", "kitten"],
        "boxes": [[1, 2, 3.5, 4]],
        "other_boxes": [[0, 0, 1, 1], [5, 5, 6, 6]],
        "kind": "animal",
        "query": "the cat",
        "scorer": "contains",
        "meta": {"source": {"page": 3}},
    }
    (case,) = read_cases(write(tmp_path / "cases.jsonl", line))
    assert case.id == "a"
    assert case.picture == tmp_path / "p.png"
    assert case.answers == ("cat", "kitten")
    assert case.boxes == ((1.0, 2.0, 3.5, 4.0),)
    assert len(case.other_boxes) == 2
    assert (case.kind, case.query, case.map_query, case.scorer) == ("animal", "the cat", "the cat", "contains")
    assert case.meta == {"source": {"page": 3}}


def test_little_is_needed_and_one_answer_may_stand_alone(tmp_path: Path) -> None:
    first, second = read_cases(write(tmp_path / "cases.jsonl", {**PLAIN, "id": 7}, {**PLAIN, "answer": "a dog"}))
    assert (first.id, first.answers, first.map_query) == ("7", (), "What is it?")
    assert second.answers == ("a dog",)


def test_the_picture_lies_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "in" / "p.png")
    (case,) = read_cases(write(tmp_path / "in" / "cases.jsonl", PLAIN))
    assert torch.equal(case.load(), torch.from_numpy(levels).float() / 255)


def test_a_scene_is_drawn_as_by_the_scenes_themselves(tmp_path: Path) -> None:
    scene = {"stream": "test", "number": 3, "height": 40, "width": 60, "options": {"objects": [2, 3], "clutter": 0}}
    line = {"id": "s", "scene": scene, "question": "?"}
    (case,) = read_cases(write(tmp_path / "cases.jsonl", line))
    drawn = draw_scene(make_scene(3, "test", SceneOptions(objects=(2, 3), clutter=0)), 40, 60)
    assert torch.equal(case.load(), torch.from_numpy(drawn.picture))
    assert json.loads(json.dumps(case.to_json())) == line


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_marks_line_ends_and_blank_lines_do_not_matter(tmp_path: Path, mark: bytes, end: bytes) -> None:
    lines = [json.dumps({**PLAIN, "question": "Où ?\u2028Là"}, ensure_ascii=False), "", '{"id": "b"}']
    path = tmp_path / "cases.jsonl"
    path.write_bytes(mark + end.join(line.encode() for line in lines[:2]))
    (case,) = read_cases(path)
    assert case.question == "Où ?\u2028Là"
    path.write_bytes(mark + end.join(line.encode() for line in lines))
    with pytest.raises(InvalidInput, match="line 3: the field 'question' is missing"):
        read_cases(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{'id': 1}", "no JSON at column 2"),
        ('{"id": 1' + "0" * 5000 + "}", "a number of too many digits"),
        ("[1, 2]", "object in braces"),
        ({"picture": "p.png", "question": "x"}, "'id' is missing"),
        ({"id": "b", "question": "x"}, "a picture or a scene"),
        ({**PLAIN, "anwser": "cat"}, "unknown field 'anwser'"),
        ({**PLAIN, "question": "  "}, '`question` must be a text that is not empty, not "  "'),
        ({**PLAIN, "question": 3}, "`question` must be a text"),
        ({**PLAIN, "id": True}, "`id` must be a text or a whole number, not true"),
        ({**PLAIN, "answer": "a", "answers": ["b"]}, "not both"),
        ({**PLAIN, "answers": "cat"}, '`answers` must be a list of texts (one text alone: `answer`), not "cat"'),
        ({**PLAIN, "boxes": [1, 2, 3, 4]}, "left, top, right, bottom"),
        ({**PLAIN, "boxes": [[3, 0, 1, 5]]}, "left of right"),
        ('{"id": "b", "picture": "p", "question": "q", "boxes": [[0, 0, NaN, 1]]}', "NaN"),
        ('{"id": "b", "id": "c", "picture": "p", "question": "q"}', "'id' is there twice"),
        ({**PLAIN, "scorer": "fuzzy"}, '`scorer` must be one of auto, exact, contains, yes-no, not "fuzzy"'),
        ({**PLAIN, "meta": []}, "`meta` must be an object in braces, not []"),
        ({"id": "b", "question": "q", "scene": {"stream": "test"}}, "the field 'scene.number' is missing"),
        (
            {"id": "b", "question": "q", "scene": {"streem": "test"}},
            "unknown field 'scene.streem'. Known: stream,",
        ),
        ({"id": "b", "question": "q", "scene": 3}, "`scene` must be an object in braces, not 3"),
        (
            {"id": "b", "question": "q", "scene": {"stream": "x", "number": 1, "height": 9, "width": 9}},
            '`scene.stream` must be one of train, development, test, not "x"',
        ),
        (
            {"id": "b", "question": "q", "scene": {"stream": "test", "number": -1, "height": 9, "width": 9}},
            "`scene.number`",
        ),
        (
            {"id": "b", "question": "q", "scene": {"stream": "test", "number": 1, "height": 9, "width": 99999}},
            "from 1 to 8192, not 99999",
        ),
        (
            {
                "id": "b",
                "question": "q",
                "scene": {"stream": "test", "number": 1, "height": 9, "width": 9, "options": {"objects": 3}},
            },
            "`scene.options.objects` must be a list",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: object, said: str) -> None:
    path = write(tmp_path / "cases.jsonl", {**PLAIN, "id": "first"}, "", line)
    with pytest.raises(InvalidInput) as caught:
        read_cases(path)
    assert "line 3: " in str(caught.value)
    assert said in str(caught.value)


def test_one_id_is_one_case(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2: the id 'a' is that of line 1"):
        read_cases(write(tmp_path / "cases.jsonl", PLAIN, PLAIN))


def test_files_that_hold_no_cases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_cases(path)
    path.write_bytes(b"\n")
    with pytest.raises(InvalidInput, match="holds no case"):
        read_cases(path)
    path.write_bytes("{}".encode("utf-16"))
    with pytest.raises(InvalidInput, match="UTF-16"):
        read_cases(path)
    path.write_bytes(b'\n{"id": "\xe9"}')
    with pytest.raises(InvalidInput, match="line 2: byte 9 is not UTF-8"):
        read_cases(path)


def test_a_case_s_own_line_is_read_again(tmp_path: Path) -> None:
    scene = SceneReference("development", 4, 50, 50, SceneOptions(objects=(1, 2)))
    cases = [
        QuestionCase("a", tmp_path / "p.png", "Où ?", ("là",), kind="place"),
        QuestionCase("b", scene, "What?", (), boxes=((0.0, 1.0, 2.0, 3.0),), scorer="exact", meta={"n": 1}),
    ]
    lines = "\n".join(json.dumps(case.to_json()) for case in cases)
    (tmp_path / "cases.jsonl").write_text(lines, encoding="utf-8")
    assert read_cases(tmp_path / "cases.jsonl") == cases


def test_the_fingerprint_is_of_the_content_and_not_of_the_name() -> None:
    case = QuestionCase("a", Path("p.png"), "What?")
    assert case.fingerprint == QuestionCase("b", Path("p.png"), "What?").fingerprint
    assert case.fingerprint != QuestionCase("a", Path("p.png"), "Who?").fingerprint
    assert case.fingerprint != QuestionCase("a", Path("p.png"), "What?", ("x",)).fingerprint


def test_the_fingerprint_is_of_the_pictures_content_and_not_of_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    line = {"id": "a", "picture": "pictures/p.png", "question": "What?", "more_pictures": ["pictures/q.png"]}
    for folder in (tmp_path / "here", tmp_path / "there" / "below"):
        (folder / "pictures").mkdir(parents=True)
        (folder / "cases.jsonl").write_text(json.dumps(line), encoding="utf-8")
        for name in ("p", "q"):
            (folder / "pictures" / f"{name}.png").write_bytes(f"bytes of {name}".encode())
    (here,) = read_cases(tmp_path / "here" / "cases.jsonl")
    (there,) = read_cases(tmp_path / "there" / "below" / "cases.jsonl")
    assert here.picture != there.picture
    assert here.fingerprint == there.fingerprint
    written = here.fingerprint
    (tmp_path / "here" / "pictures" / "q.png").write_bytes(b"another's bytes")
    assert not here.has_fingerprint(written)
    (tmp_path / "here" / "pictures" / "q.png").unlink()  # such as on a machine that only merges
    assert here.has_fingerprint(written)
    assert there.has_fingerprint(here.fingerprint)
    assert not replace(here, question="Who?").has_fingerprint(written)


def test_fingerprints_of_earlier_versions_still_hold() -> None:
    case = QuestionCase("a", Path("p.png"), "What?", ("x",), query="y", more_pictures=(Path("q.png"),))
    assert case.has_fingerprint("34ba80abcf9bdff0")
    assert not replace(case, picture=Path("elsewhere/p.png")).has_fingerprint("34ba80abcf9bdff0")
    scene = QuestionCase("b", SceneReference("development", 4, 20, 20), "x")
    assert scene.fingerprint == "ed3fc74a72b54324"


def test_a_shared_picture_is_loaded_once() -> None:
    scene = SceneReference("development", 4, 20, 20)
    first, second = pictures_of([QuestionCase("a", scene, "x"), QuestionCase("b", scene, "y")])
    assert first is second
