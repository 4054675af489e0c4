import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashionnb.data import downloads, products, registry
from fashionnb.data.registry import SOURCES, Source
from fashionnb.errors import DataError, DataNotFound
from fashionnb.files import WriteError

FILES = {"one": b"first " * 500, "two": b"second " * 500}


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def register(monkeypatch, **fields) -> Source:
    """Put a source called "toy" into the register, for one test."""
    facts = {
        "title": "Toy",
        "bytes": 5_000_000,
        "licence": "CC0",
        "citation": "-",
        "homepage": "http://home",
        "reader": "toys",
        "read": None,
        "check": lambda path: [],
    }
    source = Source(**{"name": "toy", "files": ("toy.zip", "toy"), **facts, **fields})
    monkeypatch.setitem(SOURCES, "toy", source)
    return source


@pytest.fixture
def folder_source(server, monkeypatch, cache) -> Source:
    """A source like Fashion-MNIST: two gzipped files in a folder, known by their unpacked content."""
    return register(
        monkeypatch,
        files=("toy",),
        urls={
            f"{name}.gz": (server.url(f"{name}.gz", gzip.compress(content)),)
            for name, content in FILES.items()
        },
        sha256={name: sha256(content).hexdigest() for name, content in FILES.items()},
    )


@pytest.fixture
def zip_source(server, monkeypatch, cache) -> Source:
    """A source like clothing-dataset-small: one archive without published checksum."""
    return register(
        monkeypatch, urls={"archive.zip": (server.url("archive.zip", zipped(a=b"a" * 2000)),)}
    )


def with_reader(monkeypatch, source: Source, check) -> None:
    monkeypatch.setitem(SOURCES, "toy", replace(source, check=check))


# The register


def test_the_register_has_the_datasets_in_the_order_of_the_book():
    assert list(SOURCES) == [
        "fashion-mnist",
        "clothing-dataset-small",
        "fashion-product-images-small",
        "mango-outfits",
        "polyvore-outfits",
        "maryland-polyvore",
        "shop-the-look",
        "clothing-co-parsing",
    ]


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_source_says_what_it_is_and_how_it_is_had(source):
    assert source.title
    assert source.licence
    assert "https://" in source.citation
    assert source.homepage.startswith("https://")
    assert not source.by_hand.endswith(".")  # it is completed to a sentence
    assert source.bytes > 1e6
    assert source.files[0].startswith(source.name)
    assert bool(source.urls) != bool(source.by_hand)
    unpacked = {file.removesuffix(".gz") for file in source.urls}
    assert set(source.sha256) <= unpacked | set(source.files)
    assert all(len(digest) == 64 for digest in source.sha256.values())
    for file, urls in source.urls.items():
        assert urls[0].startswith("https://")
        assert len(set(urls)) == len(urls)
        assert all(
            url.startswith("https://") or file.removesuffix(".gz") in source.sha256 for url in urls
        )


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_source_stands_in_the_module_that_reads_it(source):
    for function in (source.read, source.check, source.read_outfits, source.assemble):
        if function is not None:
            plain = function.func if isinstance(function, partial) else function
            assert plain.__module__ == f"fashionnb.data.{source.reader}"


@pytest.mark.parametrize("ask", [registry.get, registry.find, registry.fetch, registry.check])
def test_an_unknown_source_is_answered_with_the_known_ones(ask):
    with pytest.raises(DataError, match=r"no source 'fashion_mnist'\. Use one of: fashion-mnist, "):
        ask("fashion_mnist")


# Finding


def test_the_users_data_come_before_the_cache_and_a_zip_before_a_folder(
    zip_source, cache, tmp_path, monkeypatch
):
    data = tmp_path / "data"
    monkeypatch.setenv("FASHIONNB_DATA", str(data))
    expected = []
    for path in (cache / "toy", cache / "toy.zip", data / "toy", data / "toy.zip"):
        path.parent.mkdir(exist_ok=True)
        data.mkdir(exist_ok=True)
        path.mkdir() if not path.suffix else path.write_bytes(b"x")
        expected.append(path)
        assert registry.find("toy") == expected[-1]


def test_what_is_nowhere_is_reported_with_places_and_command(
    zip_source, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    with pytest.raises(DataNotFound) as caught:
        registry.find("toy")
    for phrase in (
        str(tmp_path),
        str(cache),
        "toy.zip or toy",
        "`fashionnb data fetch toy` (about 5 MB)",
    ):
        assert phrase in str(caught.value)


def test_a_folder_counts_only_when_it_is_complete(folder_source, cache):
    (cache / "toy").mkdir(parents=True)
    (cache / "toy" / "one").write_bytes(FILES["one"])  # unpacked is as good as packed
    with pytest.raises(DataNotFound, match=r"lacks two\.gz"):
        registry.find("toy")
    (cache / "toy" / "two.gz").write_bytes(gzip.compress(FILES["two"]))
    assert registry.find("toy") == cache / "toy"


@pytest.mark.parametrize("ask", [registry.find, registry.fetch, registry.check])
def test_a_wrong_fashionnb_data_is_an_error_even_if_the_cache_has_it(
    zip_source, cache, tmp_path, monkeypatch, ask
):
    cache.mkdir()
    (cache / "toy.zip").write_bytes(zipped(a=b"a"))
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path / "misspelt"))
    with pytest.raises(
        DataNotFound, match=r"FASHIONNB_DATA is '.*misspelt', which is not a folder"
    ):
        ask("toy")


def test_the_cache_is_the_systems_unless_it_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("FASHIONNB_CACHE", "~/somewhere")
    assert registry.cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("FASHIONNB_CACHE")
    assert "fashionnb" in registry.cache_folder().parts


def test_where_the_home_cannot_be_written_the_cache_is_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("FASHIONNB_CACHE", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "home" / ".cache" / name)
    assert registry.cache_folder() == tmp_path / "home" / ".cache" / "fashionnb"
    (tmp_path / "home").write_text("a file, below which nobody writes")
    assert registry.cache_folder() == Path(tempfile.gettempdir()) / "fashionnb"


# Fetching


def test_a_folder_is_fetched_and_then_found(folder_source, server, cache):
    assert registry.fetch("toy", progress=False) == cache / "toy" == registry.find("toy")
    assert {path.name for path in cache.rglob("*")} == {"toy", "one.gz", "two.gz"}
    assert registry.fetch("toy") == cache / "toy"
    assert server.asked == ["/one.gz", "/two.gz"]


def test_an_archive_is_fetched_and_then_found(zip_source, server, cache):
    assert registry.fetch("toy", progress=False) == cache / "toy.zip" == registry.find("toy")
    assert {path.name for path in cache.iterdir()} == {"toy.zip", "toy.sha256"}
    assert registry.fetch("toy") == cache / "toy.zip"
    assert server.asked == ["/archive.zip"]


def test_what_the_user_has_is_not_fetched(zip_source, server, tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    assert registry.fetch("toy") == tmp_path / "toy"
    assert server.asked == []


def test_an_archive_that_broke_off_is_resumed_from_the_next_mirror_by_the_next_fetch(
    server, monkeypatch, cache
):
    whole = zipped(a=bytes(range(256)) * 1000)
    urls = (server.url("dead", 404), server.url("a", ("cut", whole)), server.url("b", 503, whole))
    register(monkeypatch, urls={"archive.zip": urls})
    with pytest.raises(DataNotFound, match=r"dead: .*404.*\n.*broke off midway\n.*503"):
        registry.fetch("toy", progress=False)
    with pytest.raises(DataNotFound, match="is not on this machine"):
        registry.find("toy")
    begun = len(server.asked)
    server.answers["/a"] = [404]
    assert registry.fetch("toy", progress=False).read_bytes() == whole
    assert server.begun[begun:][-1] > 100_000
    assert {path.name for path in cache.iterdir()} == {"toy.zip", "toy.sha256"}


def test_a_fetch_that_failed_goes_on_where_it_was(folder_source, server, cache):
    server.answers["/two.gz"] = [503, gzip.compress(FILES["two"])]
    with pytest.raises(DataNotFound, match="503") as caught:
        registry.fetch("toy", progress=False)
    assert "FASHIONNB_DATA" in str(caught.value)
    with pytest.raises(DataNotFound, match=r"lacks two\.gz"):
        registry.find("toy")
    registry.fetch("toy", progress=False)
    assert server.asked == ["/one.gz", "/two.gz", "/two.gz"]


def test_a_deleted_file_is_fetched_again_alone(folder_source, server, cache):
    registry.fetch("toy", progress=False)
    (cache / "toy" / "one.gz").unlink()
    registry.fetch("toy", progress=False)
    assert server.asked == ["/one.gz", "/two.gz", "/one.gz"]


def test_a_checksum_mismatch_keeps_nothing_of_that_file(folder_source, server, cache):
    server.answers["/two.gz"] = [gzip.compress(b"other")]
    with pytest.raises(DataError, match="sha256"):
        registry.fetch("toy", progress=False)
    assert [path.name for path in (cache / "toy").iterdir()] == ["one.gz"]


def test_what_the_reader_refuses_never_gets_its_place(zip_source, server, cache, monkeypatch):
    def refuse(path):
        assert path.name != "toy.zip"
        raise DataError(f"{path}: expected 3,068 photos")

    with_reader(monkeypatch, zip_source, refuse)
    with pytest.raises(DataError, match="expected 3,068 photos"):
        registry.fetch("toy", progress=False)
    assert list(cache.rglob("*")) == []
    with_reader(monkeypatch, zip_source, lambda path: ["fine"])
    assert registry.fetch("toy", progress=False) == cache / "toy.zip"
    assert server.asked == ["/archive.zip"] * 2


def test_a_cache_that_cannot_be_written_names_the_variable(zip_source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        WriteError, match=r"cannot be written .*FASHIONNB_CACHE can name another folder"
    ):
        registry.fetch("toy", progress=False)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_without_permission_is_a_clear_error(zip_source, cache):
    cache.mkdir(mode=0o500)
    with pytest.raises(WriteError, match=r"Permission denied"):
        registry.fetch("toy", progress=False)


def test_offline_nothing_is_asked_and_nothing_made(folder_source, server, cache, monkeypatch):
    monkeypatch.setenv("FASHIONNB_OFFLINE", "1")
    with pytest.raises(DataNotFound, match="FASHIONNB_OFFLINE"):
        registry.fetch("toy")
    assert server.asked == []
    assert not cache.exists()


def test_a_fetch_that_got_nothing_leaves_nothing(folder_source, server, cache):
    server.answers["/one.gz"] = [404]
    with pytest.raises(DataNotFound, match=r"one\.gz: no address gave it"):
        registry.fetch("toy", progress=False)
    assert list(cache.rglob("*")) == []


@pytest.mark.parametrize("ask", [registry.fetch, registry.check])
def test_what_no_program_fetches_is_answered_with_every_step(cache, tmp_path, monkeypatch, ask):
    with pytest.raises(DataNotFound) as caught:
        ask("polyvore-outfits")
    for phrase in ("drive.google.com", "free account", "unpack_photos", "set FASHIONNB_DATA"):
        assert phrase in str(caught.value)
    assert registry.remedy("polyvore-outfits") == "fashionnb data check polyvore-outfits"
    assert registry.remedy("mango-outfits") == "fashionnb data fetch mango-outfits"
    (tmp_path / "polyvore-outfits").mkdir()
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    assert registry.fetch("polyvore-outfits") == tmp_path / "polyvore-outfits"


def test_another_file_than_the_one_first_seen_is_noticed(
    zip_source, server, cache, tmp_path, monkeypatch, caplog
):
    registry.fetch("toy", progress=False)
    first = sha256((cache / "toy.zip").read_bytes()).hexdigest()
    assert (cache / "toy.sha256").read_text() == f"{first}  toy.zip\n"
    assert f"its sha256 is {first}, as when it was first seen here" in registry.check("toy")
    (cache / "toy.zip").unlink()
    server.answers["/archive.zip"] = [zipped(a=b"b" * 2000)]
    caplog.clear()
    registry.fetch("toy", progress=False)
    assert "toy.zip: this is not the file that was first seen here" in caplog.text
    changed = [line for line in registry.check("toy") if "not the file" in line]
    assert len(changed) == 1
    assert f"then it was {first}" in changed[0]
    assert "delete toy.sha256 in the cache" in changed[0]
    assert str(cache) not in caplog.text  # the warning may land on a published page
    (cache / "toy.sha256").unlink()
    assert any("no other was seen here before" in line for line in registry.check("toy"))


def test_where_no_sum_can_be_kept_it_is_still_told(zip_source, cache, tmp_path, monkeypatch):
    (tmp_path / "toy.zip").write_bytes(zipped(a=b"a"))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    monkeypatch.setenv("FASHIONNB_CACHE", str(tmp_path / "file" / "cache"))
    assert any("its sha256 is" in line for line in registry.check("toy"))


def test_a_killed_fetch_leaves_nothing_that_is_found(folder_source, server, cache, tmp_path):
    server.answers["/two.gz"] = [
        ("stall", gzip.compress(FILES["two"])),
        gzip.compress(FILES["two"]),
    ]
    facts = vars(folder_source) | {"check": None}  # not reached
    script = (
        "import sys; from fashionnb.data import registry\n"
        f"registry.SOURCES['toy'] = registry.Source(**{facts!r})\n"
        "registry.downloads.TIMEOUT = (5, 60); registry.fetch('toy')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if "/two.gz" in server.asked:
                break
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert server.asked == ["/one.gz", "/two.gz"]
    with pytest.raises(DataNotFound):
        registry.find("toy")
    assert registry.fetch("toy", progress=False) == cache / "toy"
    assert server.asked == ["/one.gz", "/two.gz", "/two.gz"]


def test_a_faithful_repack_of_fashion_mnist_is_accepted(real_data, server, cache, monkeypatch):
    source = SOURCES["fashion-mnist"]
    urls = {}
    for file in source.urls:
        content = gzip.decompress((real_data / "fashion-mnist" / file).read_bytes())
        good = server.url(file, gzip.compress(content, 1, mtime=1))
        wrong = server.url(f"wrong/{file}", gzip.compress(content[:-1] + b"!", 1))
        urls[file] = (wrong, good) if "t10k" in file else (good,)
    monkeypatch.setitem(SOURCES, source.name, replace(source, urls=urls))
    assert registry.fetch(source.name, progress=False) == cache / "fashion-mnist"
    assert len(source.read(registry.find(source.name))) == 70_000


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 80), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def test_the_parquet_copy_of_the_product_photos_becomes_a_zip(server, cache, monkeypatch):
    def row(item: int) -> dict:
        facts = dict.fromkeys(products.COLUMNS, "x") | {
            "id": item,
            "year": 2012.0,
            "articleType": "Tshirts",
        }
        return facts | {"image": {"bytes": picture("red"), "path": None}}

    source, urls = SOURCES["fashion-product-images-small"], {}
    for i, file in enumerate(source.urls):
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([row(10 * i), row(10 * i + 1)]), buffer)
        urls[file] = (server.url(file, buffer.getvalue()),)
    monkeypatch.setitem(SOURCES, source.name, replace(source, urls=urls))
    with pytest.raises(DataError, match="not complete"):  # four products are not the dataset
        registry.fetch(source.name, progress=False)
    assert list(cache.rglob("*")) == []
    unchecked = replace(source, urls=urls, check=lambda path: [])
    monkeypatch.setitem(SOURCES, source.name, unchecked)
    path = registry.fetch(source.name, progress=False)
    assert path == cache / "fashion-product-images-small.zip"
    assert list(products.read(path).table["id"]) == ["0", "1", "10", "11"]
    assert {file.name for file in cache.iterdir()} == {path.name, f"{source.name}.sha256"}


# Checking and fingerprints


@pytest.mark.parametrize("name", ["fashion-mnist", "clothing-dataset-small"])
def test_the_real_data_pass(name, real_data):
    findings = registry.check(name)
    assert str(real_data) in findings[0]
    assert name == "fashion-mnist" or "known to be good" in findings[1]


def test_check_looks_where_it_is_told_to(zip_source, cache, tmp_path, monkeypatch):
    with_reader(monkeypatch, zip_source, lambda path: [f"read {path}"])
    (tmp_path / "elsewhere").mkdir()
    assert registry.check("toy", tmp_path / "elsewhere")[1:] == [f"read {tmp_path / 'elsewhere'}"]
    with pytest.raises(
        DataNotFound, match=r"no such file or folder\. Name the place where toy lies"
    ):
        registry.check("toy", tmp_path / "nowhere")


def test_check_says_what_is_there_and_lets_the_reader_look(zip_source, cache, monkeypatch):
    with_reader(monkeypatch, zip_source, lambda path: [f"3 photos in {path.name}"])
    registry.fetch("toy", progress=False)
    size = (cache / "toy.zip").stat().st_size / 1e6
    digest = sha256((cache / "toy.zip").read_bytes()).hexdigest()
    assert registry.check("toy") == [
        f"Toy lies in {cache / 'toy.zip'}, {size:.1f} MB",
        "all 1 files in the zip are whole",
        "3 photos in toy.zip",
        f"its sha256 is {digest}, as when it was first seen here",
    ]
    (cache / "toy.zip").unlink()
    with pytest.raises(DataNotFound):
        registry.check("toy")


@pytest.mark.parametrize(
    ("damage", "phrase"),
    [
        (lambda data: data.replace(b"aaaa", b"aaba", 1), "member a: corrupt"),
        (lambda data: data[: len(data) // 2], "not a zip file"),
        (lambda data: b"", "not a zip file"),
    ],
)
def test_check_finds_a_damaged_zip(zip_source, cache, damage, phrase):
    registry.fetch("toy", progress=False)
    (cache / "toy.zip").write_bytes(damage((cache / "toy.zip").read_bytes()))
    (cache / "toy.sha256").unlink()
    with pytest.raises(DataError, match=phrase):
        registry.check("toy")
    assert not (cache / "toy.sha256").exists()  # not remembered as the first one


def test_the_fingerprint_of_a_file_follows_its_content_and_nothing_else(
    zip_source, cache, tmp_path, monkeypatch
):
    assert registry.fingerprint("toy") == "absent"
    registry.fetch("toy", progress=False)
    first = registry.fingerprint("toy")
    shutil.copy(cache / "toy.zip", tmp_path / "toy.zip")
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path))
    assert registry.fingerprint("toy") == first
    (tmp_path / "toy.zip").write_bytes(zipped(a=b"b" * 2000))
    assert registry.fingerprint("toy") != first


def test_the_fingerprint_of_a_small_folder_follows_names_and_contents(zip_source, cache):
    folder = cache / "toy" / "inside"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    first = registry.fingerprint("toy")
    os.utime(folder / "a", (1, 1))
    (folder / ".a.1234.part").write_bytes(b"left by a process that was killed")
    assert registry.fingerprint("toy") == first
    seen = {first}
    for change in (
        lambda: (folder / "a").write_bytes(b"2"),
        lambda: (folder / "a").rename(folder / "b"),
    ):
        change()
        seen.add(registry.fingerprint("toy"))
    assert len(seen) == 3


def test_the_fingerprint_of_a_large_folder_follows_names_sizes_and_times(zip_source, cache):
    (cache / "toy").mkdir(parents=True)
    for i in range(registry.FEW_FILES + 1):
        (cache / "toy" / str(i)).write_bytes(b"1")
    seen = [registry.fingerprint("toy")]
    os.utime(cache / "toy" / "0", (1, 1))
    seen.append(registry.fingerprint("toy"))
    (cache / "toy" / "new").write_bytes(b"")
    seen.append(registry.fingerprint("toy"))
    assert len(set(seen)) == 3
    assert registry.fingerprint("toy") == seen[-1]


def test_a_wrong_fashionnb_data_counts_as_absent_for_the_fingerprint(
    zip_source, monkeypatch, tmp_path
):
    monkeypatch.setenv("FASHIONNB_DATA", str(tmp_path / "misspelt"))
    assert registry.fingerprint("toy") == "absent"


def test_importing_sources_is_light():
    heavy = "import json, sys, fashionnb.data, fashionnb.data.registry; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, check=True).stdout
    )
    assert not {"torch", "pandas", "numpy", "PIL", "requests", "pooch"} & set(loaded)
    assert downloads.__name__ in loaded


def test_the_fingerprint_of_ones_own_files_follows_them(cache, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.jpg").write_bytes(b"1")
    first = registry.fingerprint(str(tmp_path / "mine"))
    (tmp_path / "mine" / "a.jpg").write_bytes(b"2")
    assert registry.fingerprint(str(tmp_path / "mine")) != first
    with pytest.raises(DataError, match="There is no source"):
        registry.fingerprint(str(tmp_path / "nowhere"))
