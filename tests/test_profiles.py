"""fashionnb.profiles: how big a run is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fashionnb import profiles
from fashionnb.errors import ProfileError


def test_the_environment_chooses_and_the_argument_wins(monkeypatch):
    monkeypatch.setenv("FASHIONNB_PROFILE", "quick")
    assert profiles.choose().name == "quick"
    assert profiles.choose("full").name == "full"
    monkeypatch.delenv("FASHIONNB_PROFILE")
    assert profiles.choose().name == "cpu"


def test_pick_takes_the_readers_choice_first():
    run = profiles.choose("cpu")
    assert run.pick(quick=1, cpu=2, full=3) == 2
    assert run.pick(7, quick=1, cpu=2, full=3) == 7
    assert run.pick(0, quick=1, cpu=2, full=3) == 0  # 0 is a choice, None is none


@pytest.mark.parametrize("name", ["quick", "cpu"])
def test_what_is_published_needs_no_gpu(name):
    assert profiles.choose(name).device == "cpu"


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ProfileError, match="quick, cpu, full"):
        profiles.choose("huge")
    with pytest.raises(ProfileError, match="cpu, cuda, mps"):
        profiles.choose(device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ProfileError, match="finds none here"):
        profiles.choose(device="cuda")


@pytest.mark.parametrize(
    ("device", "probes", "expected"),
    [
        ("cuda", {}, "bf16"),
        ("mps", {"_is_avx512_bf16_supported": True}, "no"),
        ("cpu", {"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": False}, "bf16"),
        ("cpu", {"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": True}, "bf16"),
        ("cpu", {"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": False}, "no"),
        ("cpu", {}, "no"),  # a torch without these probes
    ],
)
def test_half_precision_where_the_machine_has_it(monkeypatch, device, probes, expected):
    monkeypatch.delenv("FASHIONNB_PRECISION", raising=False)
    monkeypatch.setattr(
        torch, "cpu", SimpleNamespace(**{name: lambda yes=yes: yes for name, yes in probes.items()})
    )
    monkeypatch.setattr(profiles, "_device", lambda profile, wanted: wanted)
    assert profiles.choose("full", device).precision == expected


def test_the_precision_can_be_chosen(monkeypatch):
    for precision in profiles.PRECISIONS:
        monkeypatch.setenv("FASHIONNB_PRECISION", precision)
        assert profiles.choose("cpu").precision == precision
    monkeypatch.setenv("FASHIONNB_PRECISION", "fp16")
    with pytest.raises(ProfileError, match=r"no precision 'fp16'.*no, bf16"):
        profiles.choose("cpu")


def test_begin_seeds_everything():
    draws = []
    for seed in (3, 3, 4):
        profiles.begin("quick", seed=seed)
        draws.append((np.random.rand(), torch.rand(1).item()))  # noqa: NPY002  the global state is what is tested
    assert draws[0] == draws[1] != draws[2]
