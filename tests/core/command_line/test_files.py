"""Which pictures a command reads and where its results go: names, collisions, whole files or none."""

import errno
import os
from pathlib import Path

import pytest
from pack.api_core.command_line.files import Job, find_pictures, plan, refuse_collisions, write_results
from pack.api_core.errors import CannotWrite, InvalidInput
from pack.api_core.whole_file import whole_file


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(b"x")
    return paths


def test_a_folder_gives_its_pictures_by_name_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "notes.txt", ".hidden")
    touch(tmp_path / "deeper", "c.png")
    assert [path.name for path in find_pictures(tmp_path)] == ["a.JPG", "b.png"]


def test_a_folder_without_pictures_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no picture"):
        find_pictures(tmp_path)
    with pytest.raises(InvalidInput, match="no picture or folder at"):
        find_pictures(tmp_path / "missing.png")


def test_results_keep_the_stem_and_stand_together(tmp_path: Path) -> None:
    (job,) = plan([tmp_path / "my.cat.jpg"], tmp_path / "out", mask=True, heatmap=True, panel=True)
    names = [path.name for path in job.targets]
    assert names == ["my.cat.png", "my.cat.mask.png", "my.cat.heatmap.npz", "my.cat.panel.png"]
    assert {path.parent for path in job.targets} == {tmp_path / "out"}


def test_pictures_of_one_stem_keep_their_ending_whatever_its_case(tmp_path: Path) -> None:
    jobs = plan([Path("Cat.jpg"), Path("cat.png"), Path("dog.png")], tmp_path)
    assert [job.picture.name for job in jobs] == ["Cat.jpg.png", "cat.png.png", "dog.png"]


def test_one_file_is_written_where_its_name_says(tmp_path: Path) -> None:
    (job,) = plan([tmp_path / "cat.png"], tmp_path / "result.jpg", mask=True)
    assert [path.name for path in job.targets] == ["result.jpg", "result.mask.png"]
    with pytest.raises(InvalidInput, match="one file, but there are 2 pictures"):
        plan([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "result.jpg")


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    sources = touch(tmp_path, "cat.png")
    with pytest.raises(InvalidInput, match="is an input picture"):
        refuse_collisions(plan(sources, tmp_path), overwrite)


def test_an_input_is_never_replaced_through_a_link(tmp_path: Path) -> None:
    sources = touch(tmp_path / "in", "cat.png")
    (tmp_path / "out").symlink_to(tmp_path / "in", target_is_directory=True)
    with pytest.raises(InvalidInput, match="is an input picture"):
        refuse_collisions(plan(sources, tmp_path / "out"), overwrite=True)


def test_a_mask_that_would_replace_another_input_is_refused(tmp_path: Path) -> None:
    sources = touch(tmp_path, "cat.jpg", "cat.mask.png")
    with pytest.raises(InvalidInput, match=r"cat\.mask\.png is an input picture"):
        refuse_collisions(plan(sources, tmp_path, mask=True), overwrite=True)


def test_two_results_in_one_place_are_refused(tmp_path: Path) -> None:
    sources = touch(tmp_path / "in", "cat.jpg", "cat.mask.png")
    with pytest.raises(InvalidInput, match="Two results"):
        refuse_collisions(plan(sources, tmp_path / "out", mask=True), overwrite=True)


def test_other_files_are_replaced_only_when_asked(tmp_path: Path) -> None:
    sources = touch(tmp_path / "in", "cat.jpg")
    touch(tmp_path / "out", "cat.png")
    jobs = plan(sources, tmp_path / "out")
    with pytest.raises(InvalidInput, match="--overwrite"):
        refuse_collisions(jobs, overwrite=False)
    refuse_collisions(jobs, overwrite=True)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_file_that_could_not_be_finished_leaves_nothing_and_keeps_the_old_one(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    (target,) = touch(tmp_path, "cat.png")

    def half(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise failure

    with pytest.raises(failure), whole_file(target) as path:
        half(path)
    assert target.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "said", "everywhere"),
    [
        (errno.ENOSPC, "the disk is full, or your share of it. Make room", True),
        (errno.EROFS, "that disk can only be read", True),
        (errno.EIO, os.strerror(errno.EIO), True),
        (errno.EISDIR, "there is a folder of that name", False),
        (errno.EACCES, "you may not write there", False),  # that file alone: its folder is open
    ],
)
def test_what_the_system_refuses_is_told_in_words_with_the_path(
    tmp_path: Path, code: int, said: str, everywhere: bool
) -> None:
    target = tmp_path / "new" / "cat.png"

    def half(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(code, os.strerror(code))

    with pytest.raises(CannotWrite) as refused, whole_file(target) as path:
        half(path)
    assert str(refused.value).startswith(f"{target} cannot be written: {said}")
    assert "Errno" not in str(refused.value)
    assert (refused.value.everywhere, refused.value.errno) == (everywhere, code)
    assert list(target.parent.iterdir()) == []


def test_a_failing_second_file_takes_the_first_with_it(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_results(
            Job(tmp_path / "in.png", tmp_path / "a.png", {"mask": tmp_path / "b.png"}),
            {"picture": lambda path: path.write_bytes(b"a") and None, "mask": fail},
        )
    assert list(tmp_path.iterdir()) == []


def test_all_files_arrive_with_their_contents_and_folders_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deeper"
    job = Job(tmp_path / "in.png", folder / "a", {"mask": folder / "b"})
    writers = {
        "picture": lambda path: path.write_text("a") and None,
        "mask": lambda path: path.write_text("b") and None,
    }
    write_results(job, {**writers, "panel": lambda path: pytest.fail("not asked for")})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "a", "b": "b"}
