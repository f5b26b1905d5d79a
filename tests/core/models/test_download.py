"""Downloads: safe files only, resumed, checked, refused, and found again without a network."""

import collections
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pack.api_core.errors import Cancelled, DamagedWeights, DownloadFailed, ModelNotFound
from pack.api_core.models.files.download import HubFiles, forbid_downloads, get_snapshot
from pack.api_core.models.files.weights import weight_files
from pack.tests.core.models.hub_stand_in import HubStandIn
from safetensors.torch import save

REPO = "someone/small-model"
WANTED = HubFiles("small", REPO, size_bytes=24_000_000)
CHUNK = 10 * 1024 * 1024  # what the hub's client reads at a time


def has_weights(folder: Path) -> bool:
    return bool(weight_files(folder))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    yield
    forbid_downloads(False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    weights = save({"weight": torch.arange(6_000_000, dtype=torch.float32)})
    files = {
        "config.json": b"{}",
        "model.safetensors": weights,
        "pytorch_model.bin": b"never fetched",
        "code.py": b"never fetched",
    }
    with HubStandIn(REPO, files) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        yield stand_in


def test_a_download_brings_safe_files_only_and_is_found_again_without_network(hub: HubStandIn) -> None:
    seen: list[tuple[int, int]] = []
    folder = get_snapshot(
        WANTED, is_complete=has_weights, allow_download=True, on_progress=lambda done, total: seen.append((done, total))
    )
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == sum(len(hub.files[name]) for name in ("config.json", "model.safetensors"))
    asked = len(hub.requests)
    assert get_snapshot(WANTED, is_complete=has_weights) == folder
    assert len(hub.requests) == asked


def test_the_hubs_own_client_finds_what_was_downloaded(hub: HubStandIn, tmp_path: Path) -> None:
    from huggingface_hub import try_to_load_from_cache

    folder = get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    assert try_to_load_from_cache(REPO, "model.safetensors", cache_dir=tmp_path / "cache") == str(
        folder / "model.safetensors"
    )


def test_a_stopped_download_goes_on_where_it_ended(hub: HubStandIn) -> None:
    def stop(done: int, total: int) -> None:
        if done > CHUNK:
            raise Cancelled("stopped by the user")

    with pytest.raises(Cancelled, match="stopped by the user"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True, on_progress=stop)
    with pytest.raises(ModelNotFound):
        get_snapshot(WANTED, is_complete=has_weights)
    hub.requests.clear()
    folder = get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    ranges = [asked for command, path, asked in hub.requests if command == "GET" and path.endswith("model.safetensors")]
    assert len(ranges) == 1
    assert int(ranges[0].removeprefix("bytes=").rstrip("-")) >= CHUNK
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_a_broken_connection_is_an_error_and_the_next_try_goes_on(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.break_off_after = 1_000_000
    hub.files["model.safetensors"] = save({"weight": torch.zeros(4_000_000)})
    with pytest.raises(DownloadFailed, match=r"try again \(what has arrived is kept\)"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    hub.break_off_after = None
    folder = get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_a_wrong_checksum_is_refused(hub: HubStandIn) -> None:
    hub.wrong_checksum = True
    with pytest.raises(DownloadFailed, match="checksum"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    with pytest.raises(ModelNotFound):
        get_snapshot(WANTED, is_complete=has_weights)


def test_without_room_nothing_is_fetched(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(DownloadFailed, match="GB are free there"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    assert not [path for _, path, _ in hub.requests if "resolve" in path]


def test_without_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match="Check the network"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)


def test_downloads_are_off_until_allowed(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound, match=r"Turn on allow_download.*small-model"):
        get_snapshot(WANTED, is_complete=has_weights, folders=[tmp_path / "clip"])
    forbid_downloads()
    with pytest.raises(DownloadFailed, match="forbidden by a setting"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    forbid_downloads(by="the environment variable NO_MODELS")
    with pytest.raises(DownloadFailed, match="forbidden by the environment variable NO_MODELS"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    forbid_downloads(False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    assert hub.requests == []


def test_what_to_do_is_said_in_few_words(tmp_path: Path) -> None:
    folders = [Path("/models") / kind for kind in ("LLM", "VLM", "clip", "clip_vision", "text_encoders")]
    with pytest.raises(ModelNotFound) as error:
        get_snapshot(WANTED, is_complete=has_weights, folders=folders)
    assert str(Path("/models/LLM/small-model")) in str(error.value)
    assert "VLM" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_cache_that_cannot_be_written_is_not_called_the_network(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    original = Path.mkdir

    def refuse(self: Path, *arguments: object, **options: object) -> None:
        if tmp_path in self.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DownloadFailed, match=r"cannot be written to .*No space left on device.*HF_HOME"):
        get_snapshot(WANTED, is_complete=has_weights, allow_download=True)


def test_shards_that_another_program_left_out_are_fetched(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files.clear()
    hub.files["model.safetensors.index.json"] = b'{"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}'
    hub.files["a.safetensors"] = save({"a": torch.zeros(3)})
    hub.files["b.safetensors"] = save({"b": torch.zeros(3)})
    folder = get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"missing: b\.safetensors"):
        get_snapshot(WANTED, is_complete=has_weights)
    assert get_snapshot(WANTED, is_complete=has_weights, allow_download=True) == folder
    assert (folder / "b.safetensors").read_bytes() == hub.files["b.safetensors"]


@pytest.mark.parametrize("place", ["small-model", "someone/small-model", "someone--small-model", "small"])
def test_a_local_folder_comes_first(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "clip" / place
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(save({"weight": torch.zeros(3)}))
    assert get_snapshot(WANTED, is_complete=has_weights, folders=[tmp_path / "clip"]) == folder


def test_half_a_folder_is_not_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "clip" / "small-model"
    folder.mkdir(parents=True)
    whole = save({"weight": torch.zeros(300)})
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(DamagedWeights, match="Delete it and get it again"):
        get_snapshot(WANTED, is_complete=has_weights, folders=[tmp_path / "clip"])
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    )
    (folder / "one.safetensors").write_bytes(whole)
    with pytest.raises(ModelNotFound, match=r"missing: two\.safetensors"):
        get_snapshot(WANTED, is_complete=has_weights, folders=[tmp_path / "clip"])


def test_file_names_of_a_repository_cannot_leave_its_folder(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files["../../outside.json"] = b"{}"
    get_snapshot(WANTED, is_complete=has_weights, allow_download=True)
    assert not list(tmp_path.rglob("outside.json"))
