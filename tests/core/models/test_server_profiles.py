"""Profiles: where they lie, who may read them, and that a key shows nowhere."""

import copy
import dataclasses
import json
import os
import pickle
import stat
import sys
from pathlib import Path

import pytest
from pack.api_core.errors import InvalidInput, ModelNotFound, ServerFailed
from pack.api_core.models.server import (
    PRESETS,
    Limits,
    Profile,
    Secret,
    connect,
    default_folder,
    find_profile,
    list_profiles,
    remove_profile,
    save_profile,
)
from pack.api_core.models.server.address import is_this_machine, normalise_base_url

KEY = "sk-test-5f4dcc3b5aa765d61d8327deb882cf99"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" HTTP://LocalHost:11434/v1/ ", "http://localhost:11434/v1"),
        ("https://example.org/api/Paas/v4", "https://example.org/api/Paas/v4"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_is_tidied(given: str, used: str) -> None:
    assert normalise_base_url(given) == used


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://example.org", "http://", "", "http://a:port/v1"])
def test_what_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        normalise_base_url(address)


@pytest.mark.parametrize(
    "address",
    [f"http://{KEY}@example.org/v1", f"http://me:{KEY}@example.org", f"http://example.org/v1?key={KEY}",
     f"http://example.org/v1#{KEY}", f"http://example.org/{KEY} v1"],
)  # fmt: skip
def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Profile("mine", address)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]/v1", True),
        ("http://192.168.0.2/v1", False),
        ("http://localhost.example.org/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_this_machine_is_known(address: str, local: bool) -> None:
    assert is_this_machine(address) is local


def test_profiles_are_kept_found_and_removed(tmp_path: Path) -> None:
    save_profile(Profile("mine", "http://10.0.0.2:8000", "MY_KEY"), tmp_path)
    save_profile(Profile("Another one", "https://example.org/v1", stored_key=Secret(KEY)), tmp_path)
    assert find_profile("mine", tmp_path) == Profile("mine", "http://10.0.0.2:8000/v1", "MY_KEY")
    key = find_profile("Another one", tmp_path).read_key()
    assert key is not None
    assert key.reveal() == KEY
    assert [profile.name for profile in list_profiles(tmp_path)][:2] == ["Another one", "mine"]
    with pytest.raises(InvalidInput, match="already"):
        save_profile(Profile("mine", "http://10.0.0.3"), tmp_path)
    save_profile(Profile("mine", "http://10.0.0.3"), tmp_path, replace=True)
    assert find_profile("mine", tmp_path).address == "http://10.0.0.3/v1"
    save_profile(Profile("slow", "http://10.0.0.4", patience=900.0), tmp_path)
    assert connect("slow", folder=tmp_path).limits.first_token == 900.0
    assert connect("mine", folder=tmp_path).limits == Limits()
    with pytest.raises(InvalidInput, match="patience"):
        Profile("mine", "http://10.0.0.2", patience=-1)
    remove_profile("slow", tmp_path)
    remove_profile("Another one", tmp_path)
    assert KEY not in (tmp_path / "servers.json").read_text(encoding="utf-8")
    with pytest.raises(ModelNotFound, match=r"There are: mine"):
        remove_profile("Another one", tmp_path)


def test_presets_on_this_machine_are_always_there_and_others_are_not(tmp_path: Path) -> None:
    names = {profile.name for profile in list_profiles(tmp_path)}
    assert names == {"vllm", "sglang", "ollama", "lm-studio", "llama.cpp"}
    assert "openai" in PRESETS
    with pytest.raises(ModelNotFound, match="ollama"):
        find_profile("openai", tmp_path)
    save_profile(Profile("ollama", "http://10.0.0.9:11434"), tmp_path)
    assert find_profile("ollama", tmp_path).address == "http://10.0.0.9:11434/v1"
    with pytest.raises(ModelNotFound, match="preset"):
        remove_profile("vllm", tmp_path)


@posix
def test_the_file_and_its_folder_are_their_owner_s_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        file = save_profile(Profile("mine", "http://10.0.0.2", stored_key=Secret(KEY)), tmp_path / "new" / "folder")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["servers.json"]


@posix
def test_a_file_that_was_opened_to_others_is_closed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = save_profile(Profile("mine", "http://10.0.0.2", stored_key=Secret(KEY)), tmp_path)
    file.chmod(0o644)
    list_profiles(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "readable by others" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        f'{{"version": 1, "profiles": {{"mine": {{"key": "{KEY}"}}}}}}',
        f'{{"version": 1, "profiles": {{"mine": {{"address": "http://{KEY}@x", "key": "{KEY}"}}}}}}',
        f'{{"version": 2, "profiles": {{"mine": {{"address": "http://x", "key": "{KEY}"}}}}}}',
        f'{{"version": 1, "profiles": {{"mine": {{"address": "http://x", "key": "{KEY}',
        f'["{KEY}"]',
        f'{{"version": 1, "profiles": {{"mine": "{KEY}"}}}}',
    ],
)
def test_a_damaged_file_is_told_of_without_what_is_in_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match="delete it") as caught:
        list_profiles(tmp_path)
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_the_key_comes_from_the_variable_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Profile("mine", "http://10.0.0.2", "TEST_SERVER_KEY")
    monkeypatch.delenv("TEST_SERVER_KEY", raising=False)
    assert profile.key_source == "key in $TEST_SERVER_KEY (not set)"
    with pytest.raises(ServerFailed, match="TEST_SERVER_KEY") as caught:
        profile.read_key()
    assert caught.value.kind == "key"
    monkeypatch.setenv("TEST_SERVER_KEY", f" {KEY}\n")
    key = profile.read_key()
    assert key is not None
    assert key.reveal() == KEY


def test_a_key_given_for_a_variable_s_name_or_a_profile_s_is_not_repeated(tmp_path: Path) -> None:
    for act in (
        lambda: Profile("mine", "http://x", KEY),
        lambda: find_profile(f"{KEY}{KEY}", tmp_path),
        lambda: remove_profile(f"{KEY}/{KEY}", tmp_path),
        lambda: Secret(f"{KEY} {KEY}"),
    ):
        with pytest.raises(InvalidInput) as caught:
            act()
        assert KEY not in str(caught.value)


def test_a_key_never_shows_itself() -> None:
    profile = Profile("mine", "http://10.0.0.2", stored_key=Secret(KEY))
    shown = [repr(profile), str(profile), f"{profile.stored_key:>60}", str(dataclasses.asdict(profile))]
    shown += [repr(copy.deepcopy(profile)), repr(dataclasses.replace(profile, name="other")), profile.key_source]
    shown += ["%s %r" % (profile.stored_key, profile.stored_key), str(hash(profile.stored_key))]  # noqa: UP031
    assert not [text for text in shown if KEY in text]
    for value in (profile, profile.stored_key):
        with pytest.raises(TypeError):
            pickle.dumps(value)
        with pytest.raises(TypeError):
            json.dumps(value)


def test_the_platform_s_configuration_folder_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == tmp_path / "attention-prompting"
    save_profile(Profile("mine", "http://10.0.0.2"))
    assert find_profile("mine") == find_profile("mine", tmp_path / "attention-prompting")
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_folder() == tmp_path / "roaming" / "attention-prompting"
