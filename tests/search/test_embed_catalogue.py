"""A catalogue to one file: killed anywhere it becomes the same file, and two processes give the same vectors."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fashionnb import checkpoints, cli
from fashionnb.errors import DataError, DataNotFound, WriteError
from fashionnb.features import vector_files
from fashionnb.features.store import FeatureStore
from fashionnb.models.style2vec import Style2Vec
from fashionnb.search import embed_catalogue
from fashionnb.search.embed_catalogue import embed_to_file
from fashionnb.search.engine import VisualSearchEngine

PICTURES, BATCH = 22, 4


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of pictures, and a model in `model`."""
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = Style2Vec(dimensions=8, channels=3, stem=4, stages=[(8, 2), (8, 2)], mean=0.5, std=0.3)
    checkpoints.save(model, "model", {"training": {"size": 16}})
    rng = np.random.default_rng(0)
    Path("photos").mkdir()
    for number in range(PICTURES):
        Image.fromarray(rng.integers(0, 256, (20, 18, 3), np.uint8)).save(
            f"photos/{number:02d}.png"
        )
    return "photos"


def run(out, **options):
    return embed_to_file("photos", "model", out, **{"batch_size": BATCH, **options})


def command(out, *more) -> list[str]:
    return [sys.executable, "-m", "fashionnb", "embed", "photos", "--model", "model", "--out", out,
            "--batch-size", str(BATCH), *more]  # fmt: skip


def test_it_holds_what_the_engine_says(photos):
    done = run("out.safetensors")
    assert (len(done.vectors), done.new) == (PICTURES, PICTURES)
    engine = VisualSearchEngine("model")
    found = vector_files.load("out.safetensors", model=engine.fingerprint)
    assert found.ids == [f"{number:02d}.png" for number in range(PICTURES)]
    np.testing.assert_allclose(
        found.values, engine.embed_dataset("photos", progress=False).vectors, atol=1e-5
    )
    assert sorted(path.name for path in Path().iterdir()) == [
        "model",
        "out.safetensors",
        "photos",
    ], "nothing is left lying about"


class KilledError(BaseException):
    """No program catches it, as no program catches SIGKILL."""


@pytest.mark.parametrize("moment", range(7))
def test_stopped_between_any_two_batches_it_becomes_the_same_file(photos, monkeypatch, moment):
    run("whole.safetensors")
    real, left = FeatureStore.put, moment

    def breaking(self, *arguments):
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "put", breaking)
        try:
            run("out.safetensors")
        except KilledError:
            assert not Path("out.safetensors").exists()
        else:
            assert moment == 6, "six batches: 0 to 5"
    done = run("out.safetensors")
    assert done.new == (PICTURES - BATCH * moment if moment < 6 else PICTURES)
    assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def kept() -> int:
    """How many vectors an unfinished run has kept."""
    count = 0
    for file in Path().glob(".out.safetensors.parts/*.sqlite"):
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(file)) as database,
        ):
            count += database.execute("SELECT COUNT(*) FROM features").fetchone()[0]
    return count


def children(process) -> list[int]:
    return [
        int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="looks for processes where Linux lists them"
)
@pytest.mark.parametrize("processes", [1, 2])
def test_sigkill_and_again(photos, processes):
    run("whole.safetensors")
    more = ("--processes", str(processes))
    # A slow reader, so that it is killed in the middle: the second picture of the third batch is a pipe at first.
    slow = Path("photos/09.png")
    content = slow.read_bytes()
    slow.unlink()
    os.mkfifo(slow)
    going = subprocess.Popen(command("out.safetensors", *more), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while kept() < 2 * BATCH:
        assert time.monotonic() < until, "no part was written"
        assert going.poll() is None, "it ended too soon"
        time.sleep(0.02)
    workers = children(going.pid)
    going.send_signal(signal.SIGKILL)
    going.wait()
    assert not Path("out.safetensors").exists()
    while any(Path(f"/proc/{worker}/cmdline").exists() and b"spawn" in Path(f"/proc/{worker}/cmdline").read_bytes()
              for worker in workers):  # fmt: skip
        assert time.monotonic() < until, "a process outlived its parent"
        time.sleep(0.05)
    slow.unlink()
    slow.write_bytes(content)
    assert run("out.safetensors").new < PICTURES  # what two processes began, one may end
    if processes == 1:
        assert Path("out.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    else:  # each of two has fewer threads, which may change the last bit
        found, whole = vector_files.load("out.safetensors"), vector_files.load("whole.safetensors")
        assert found.ids == whole.ids
        np.testing.assert_allclose(found.values, whole.values, atol=1e-6)
    assert not list(Path().glob(".out*"))


def test_a_picture_that_changed_meanwhile_is_embedded_again(photos, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(vector_files, "save", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            run("out.safetensors")
    Image.new("RGB", (20, 20), (200, 0, 0)).save("photos/05.png")
    assert run("out.safetensors").new == 1
    run("fresh.safetensors")
    found, fresh = vector_files.load("out.safetensors"), vector_files.load("fresh.safetensors")
    np.testing.assert_allclose(found.values, fresh.values, atol=1e-6)


def test_a_catalogue_in_memory(photos):
    from fashionnb.synthetic import drawn_garments

    catalogue = drawn_garments.catalogue(20, seed=0)
    done = embed_to_file(catalogue, "model", "out.safetensors", batch_size=4)
    assert len(done.vectors) == len(vector_files.load("out.safetensors").ids) == len(catalogue)


def test_the_command(photos, capsys):
    assert cli.main(["embed", "photos", "--model", "model", "--out", "out.safetensors"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"out.safetensors: {PICTURES} pictures; {PICTURES} embedded in ")
    assert "a second" in out
    assert "image/s" in err, "throughput is shown as it goes"


def test_bad_input(photos, monkeypatch):
    with pytest.raises(DataNotFound, match="nowhere"):
        embed_to_file("nowhere", "model", "out.safetensors")
    with pytest.raises(DataNotFound, match="No model 'nobody'"):
        embed_to_file("photos", "nobody", "out.safetensors")
    with pytest.raises(DataError, match="got 0 and 4"):
        run("out.safetensors", processes=0)
    with pytest.raises(WriteError, match="is a folder"):
        run("photos")
    Path("file").write_text("")
    monkeypatch.setattr(
        VisualSearchEngine,
        "embed_dataset",
        lambda *_, **__: pytest.fail("it embeds before it knows where to"),
    )
    with pytest.raises(WriteError, match="cannot be written"):
        run("file/out.safetensors")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_unreadable_picture_is_one_clear_error(photos, capsys, processes):
    Path("photos/07.png").write_bytes(b"no picture")
    assert cli.main([*command("out.safetensors")[3:], "--processes", processes]) == 2
    message = capsys.readouterr().err.split("\r")[-1]
    assert "07.png" in message
    assert "1 of 22 pictures cannot be read" in message
    assert "run the same again" in message
    assert "Traceback" not in message
    assert not Path("out.safetensors").exists()


def test_two_processes(photos):
    run("one.safetensors")
    run("two.safetensors", processes=2)
    one, two = vector_files.load("one.safetensors"), vector_files.load("two.safetensors")
    assert one.ids == two.ids
    np.testing.assert_allclose(one.values, two.values, atol=1e-6)  # the threads of each are fewer


def test_a_catalogue_is_not_shared(photos):
    from fashionnb.synthetic import drawn_garments

    with pytest.raises(DataError, match="in this process alone"):
        embed_to_file(drawn_garments.catalogue(20, seed=0), "model", "out.safetensors", processes=2)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cuda", ["cuda:0", "cuda:1", "cuda:0"]),
        (None, ["cuda:0", "cuda:1", "cuda:0"]),
        ("cuda:1", ["cuda:1"] * 3),
        ("cpu", ["cpu"] * 3),
    ],
)
def test_of_two_gpus_each_process_takes_the_next(monkeypatch, device, expected):
    monkeypatch.setenv("FASHIONNB_DEVICE", "auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [embed_catalogue._device(device, number) for number in range(3)] == expected
