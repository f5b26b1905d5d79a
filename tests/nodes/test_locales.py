"""The words of `locales/` are those of the nodes; `tools/locales.py` writes the files.

What a language lacks, ComfyUI's page shows in English; that it lacks nothing is a matter of a release.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pack.tests.nodes.describe import all_inputs
from pack.tools import locales

TRANSLATED = [code for code in locales.LANGUAGES if code != locales.SOURCE]
FULL_STOPS = (".", "。")
OF_COMFYUI = "Load CLIP Vision"  # its node, named by ComfyUI's own translations, begins as a title of these nodes does


@pytest.fixture(scope="module")
def schemas(classes: dict[str, Any]) -> list[Any]:
    return [node.define_schema() for node in classes.values()]


@pytest.fixture(scope="module")
def source(schemas: list[Any]) -> locales.Texts:
    """What the nodes say."""
    return locales.english(schemas)


def shown(places: Any) -> list[str]:
    return [".".join(place) for place in places]


def content(code: str) -> str:
    return (locales.LOCALES / code / locales.FILE).read_text(encoding="utf-8")


def test_these_are_the_languages() -> None:
    assert set(locales.LANGUAGES) == {"en", "zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR", "tr"}
    assert {path.name for path in locales.LOCALES.iterdir()} == set(locales.LANGUAGES)


def test_english_is_what_the_nodes_say_of_inputs_that_appear_later(schemas: list[Any]) -> None:
    """An old text would go before the node's own."""
    assert content(locales.SOURCE) == locales.render(locales.appearing(schemas)), "run `python tools/locales.py en`"


def test_every_input_and_output_has_its_text(source: locales.Texts, classes: dict[str, Any]) -> None:
    for name, node in classes.items():
        schema = node.define_schema()
        keys = source[name]["inputs"]
        groups = {given.id for given in schema.inputs if getattr(given, "template", None) is not None}
        for given in all_inputs(schema):
            ends = (given.id, f"_{given.id}", f"_{given.id}0")
            assert given.id in groups or any(key.endswith(ends) for key in keys), f"{name}: {given.id}"
        assert len(source[name]["outputs"]) == len(schema.outputs)
        assert not groups & set(keys)


def part(name: str, tooltip: str = "", **more: Any) -> SimpleNamespace:
    """An input, as far as its texts go."""
    return SimpleNamespace(id=name, display_name=None, tooltip=tooltip, **more)


def test_texts_of_sockets_that_appear_and_of_options() -> None:
    """The page knows one text for all options that share an id."""
    options = [
        SimpleNamespace(key="fade", inputs=[part("level", "How grey."), part("colour", "What it fades to.")]),
        SimpleNamespace(key="line", inputs=[part("colour", "The line's.")]),
    ]
    template = SimpleNamespace(prefix="map", max=3, input=part("map", "To combine."))
    schema = SimpleNamespace(
        node_id="Node",
        display_name="A node",
        description="Does it.",
        inputs=[part("strength", "How much."), part("style", "How.", options=options), part("maps", template=template)],
        outputs=[],
    )
    later = {
        "style_level": {"name": "level", "tooltip": "How grey."},
        "style_colour": {"name": "colour", "tooltip": "fade: What it fades to. line: The line's."},
        **{f"maps_map{number}": {"name": f"map{number}", "tooltip": "To combine."} for number in range(3)},
    }
    at_once = {"strength": {"name": "strength", "tooltip": "How much."}, "style": {"name": "style", "tooltip": "How."}}
    assert locales.english([schema])["Node"]["inputs"] == {**at_once, **later}
    assert locales.appearing([schema]) == {"Node": {"inputs": later}}


@pytest.mark.parametrize("code", [locales.SOURCE, *TRANSLATED])
def test_no_text_has_signs_that_the_page_takes_for_its_own(code: str) -> None:
    for place, text in locales.flat(locales.read(code)).items():
        assert not set(text) & set(locales.SYNTAX), f"{'.'.join(place)}: {text}"


@pytest.mark.parametrize("code", TRANSLATED)
def test_tooltips_of_a_translation_are_sentences(code: str) -> None:
    for place, text in locales.flat(locales.read(code)).items():
        assert text == text.strip()
        if place[-1] in ("tooltip", "description"):
            assert text.endswith(FULL_STOPS), f"{'.'.join(place)}: {text}"


@pytest.mark.release
@pytest.mark.parametrize("code", TRANSLATED)
class TestTranslation:
    def test_is_complete_and_not_stale(self, source: locales.Texts, code: str) -> None:
        given = locales.read(code)
        assert not shown(locales.lacking(source, given))
        assert not shown(set(locales.flat(given)) - set(locales.flat(source))), "no node has these any more"
        assert content(code) == locales.render(locales.complete(source, given)), "run `python tools/locales.py`"

    def test_says_what_the_english_says_by_now(self, source: locales.Texts, code: str) -> None:
        """Its help pages too."""
        made_of = locales.read_digests(locales.MADE_OF.read_text(encoding="utf-8"))[code]
        texts = locales.originals(code, source)
        old = [f"{name}: {texts[name]}" for name in locales.outdated(made_of, texts)]
        assert not old, "\n  ".join([f"mend these, then run `python tools/locales.py {code} --fresh`:", *old])

    def test_nothing_is_left_in_english(self, source: locales.Texts, code: str) -> None:
        given, original = locales.flat(locales.read(code)), locales.flat(source)
        same = {text for place, text in given.items() if text == original[place]}
        own = locales.SAME_IN.get(code, set())
        assert same - locales.SAME_EVERYWHERE == own, "translate it, or say in tools/locales.py that it stays"

    def test_says_the_same_numbers(self, source: locales.Texts, code: str) -> None:
        given = locales.flat(locales.read(code))
        for place, text in locales.flat(source).items():
            assert numbers(given[place]) == numbers(text), f"{'.'.join(place)}: {given[place]}"

    def test_nodes_are_called_as_their_titles(self, source: locales.Texts, code: str) -> None:
        given = locales.read(code)
        titles = {short(source[node]): short(given[node]) for node in source}
        translated = locales.flat(given)
        for place, text in locales.flat(source).items():
            for title in (title for title in titles if title in text.replace(OF_COMFYUI, "")):
                assert titles[title] in translated[place], f"{'.'.join(place)} does not name {titles[title]!r}"

    def test_values_are_called_as_the_list_shows_them(self, classes: dict[str, Any], code: str) -> None:
        given = locales.read(code)
        for name, node in classes.items():
            for part in node.define_schema().inputs:
                for value in explained(part):
                    text = given[name]["inputs"][part.id]["tooltip"]
                    assert value in text, f"{name}.{part.id} does not name {value!r}: {text}"


def test_french_signs_do_not_begin_a_line() -> None:
    for place, text in locales.flat(locales.read("fr")).items():
        assert not re.search(r" [:;?!»]|« ", text), f"{'.'.join(place)} needs a no-break space: {text}"


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+", text))


def short(node: locales.Texts) -> str:
    """A node's title without the pack's name in brackets."""
    return re.sub(r"\s*[(\uff08].*", "", node["display_name"])


def explained(part: Any) -> list[str]:
    """The values of a combo that its tooltip explains one by one ("auto: the model's own")."""
    values = [str(getattr(option, "key", option)) for option in getattr(part, "options", None) or ()]
    return [value for value in values if re.search(rf"(?<![\w-]){re.escape(value)}(:| \()", part.tooltip or "")]


def test_a_translation_is_brought_into_order() -> None:
    part = {"name": "n", "tooltip": "t"}
    source = {"Node": {"display_name": "d", "inputs": {"a": part, "g_h0": part, "g_h1": part, "g_h12": part}}}
    first = {"name": "Karte 0", "tooltip": "0 bis 9"}
    given = {"Gone": {"display_name": "x"}, "Node": {"inputs": {"g_h0": first, "a": {"name": "A"}}}}
    found = locales.complete(source, given)
    assert list(found["Node"]["inputs"]) == ["a", "g_h0", "g_h1", "g_h12"]
    assert found["Node"]["inputs"]["g_h12"] == {"name": "Karte 12", "tooltip": "0 bis 9"}
    assert "Gone" not in found
    assert shown(locales.lacking(source, found)) == ["Node.display_name", "Node.inputs.a.tooltip"]
    assert json.loads(locales.render(found)) == found


def test_a_translation_of_an_english_that_has_changed_is_outdated_until_someone_says_it_is_not() -> None:
    made_of = locales.renewed({}, {"a": "Fades.", "b": "Blurs.", "gone": "x"}, set())
    now = {"a": "Fades or magnifies.", "b": "Blurs.", "new": "Draws."}
    assert locales.outdated(made_of, now) == ["a", "new"]
    kept = locales.renewed(made_of, now, set())
    assert locales.outdated(kept, now) == ["a"]
    assert list(kept) == ["a", "b", "new"]
    assert not locales.outdated(locales.renewed(kept, now, {"a"}), now)


def test_digests_of_all_languages_stand_in_one_file() -> None:
    one, other = locales.digest("Fades."), locales.digest("Fades or magnifies.")
    digests = {code: {"a": other if code == "ja" else one} for code in TRANSLATED}
    lines = locales.render_digests(digests)
    assert f"\na {other} ja\n" in lines
    assert locales.read_digests(lines) == digests
    held = locales.MADE_OF.read_text(encoding="utf-8")
    assert locales.render_digests(locales.read_digests(held)) == held


def test_parts_of_a_help_page_are_texts_of_the_languages_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locales, "HELP_PAGES", tmp_path)
    (tmp_path / "Node").mkdir()
    (tmp_path / "Node" / "ja.md").touch()
    (tmp_path / "Node.md").write_text("# Node\n\nDoes it.\n\n## Common mistakes\n- *None*: yet.\n", encoding="utf-8")
    parts = {"Node.md#Node": "Does it.", "Node.md#Common-mistakes": "- *None*: yet."}
    assert locales.originals("ja", {}) == parts
    assert not locales.originals("ko", {})
