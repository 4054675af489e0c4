"""fashionnb.profiles: how big a run is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fashionnb import profiles
from fashionnb.errors import ProfileError


@pytest.fixture
def machine(monkeypatch):
    """Makes torch find so many GPUs of NVIDIA, of this compute capability, and perhaps one of Apple."""

    def machine(gpus=0, capability=(9, 0), mps=False):
        monkeypatch.delenv("FASHIONNB_DEVICE", raising=False)
        monkeypatch.delenv("FASHIONNB_PRECISION", raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return machine


def test_the_environment_chooses_and_the_argument_wins(monkeypatch):
    monkeypatch.setenv("FASHIONNB_PROFILE", "quick")
    assert profiles.choose().name == "quick"
    assert profiles.choose("full").name == "full"
    monkeypatch.delenv("FASHIONNB_PROFILE")
    assert profiles.choose().name == "standard"


def test_pick_takes_the_readers_choice_first():
    run = profiles.choose("standard")
    assert run.pick(quick=1, standard=2, full=3) == 2
    assert run.pick(7, quick=1, standard=2, full=3) == 7
    assert run.pick(0, quick=1, standard=2, full=3) == 0  # 0 is a choice, None is none


def test_the_former_name_is_understood_with_one_hint(monkeypatch, caplog):
    profiles._hint.cache_clear()
    assert profiles.choose("cpu").name == "standard"
    monkeypatch.setenv("FASHIONNB_PROFILE", "cpu")
    assert profiles.choose().name == "standard"
    assert caplog.messages == ["The profile 'cpu' is now called 'standard'."]


@pytest.mark.parametrize("name", profiles.NAMES)
def test_every_profile_takes_the_best_device(machine, name):
    for here, best in (
        ({"gpus": 2, "mps": True}, "cuda"),
        ({"mps": True}, "mps"),
        ({}, "cpu"),
    ):
        machine(**here)
        assert profiles.choose(name).device == profiles.choose(name, "auto").device == best


def test_the_variable_chooses_the_device_and_the_argument_wins(machine, monkeypatch):
    machine(gpus=2)
    monkeypatch.setenv("FASHIONNB_DEVICE", "cuda:1")
    assert profiles.choose_device() == "cuda:1"
    assert profiles.choose_device("cpu") == "cpu"
    assert profiles.choose_device("auto") == "cuda"


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ProfileError, match="quick, standard, full"):
        profiles.choose("huge")
    for device in ("tpu", "cuda:", "cpu:1", "cuda:one"):
        with pytest.raises(ProfileError, match="auto, cpu, cuda, mps"):
            profiles.choose(device=device)


def test_a_device_that_is_not_there_is_refused(machine):
    for gpus, device in ((0, "cuda"), (0, "mps"), (2, "cuda:2")):
        machine(gpus)
        with pytest.raises(ProfileError, match=f"'{device}' was asked for, but torch finds none"):
            profiles.choose(device=device)


def test_an_old_gpu_does_without_half_precision(machine):
    machine(gpus=2, capability=(7, 5))  # a T4, as in Colab
    assert profiles.choose().precision == "no"
    machine(gpus=2)
    assert profiles.choose().precision == profiles.choose(device="cuda:1").precision == "bf16"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3", 3), ("4,2", 4), (" 2 , 1", 2), ("08", 8)]
    + [(other, None) for other in ("", " ", "auto", "0", "-1", "1.5", "²", "99999999999", ",2")],
)
def test_a_list_or_a_word_of_openmp_is_no_reason_to_fail(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert profiles.choose().threads == profiles.threads() == (expected or profiles.cores())


@pytest.mark.parametrize(
    ("device", "probes", "expected"),
    [
        ("mps", {"_is_avx512_bf16_supported": True}, "no"),
        ("cpu", {"_is_avx512_bf16_supported": True, "_is_amx_tile_supported": False}, "bf16"),
        ("cpu", {"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": True}, "bf16"),
        ("cpu", {"_is_avx512_bf16_supported": False, "_is_amx_tile_supported": False}, "no"),
        ("cpu", {}, "no"),  # a torch without these probes
    ],
)
def test_half_precision_where_the_processor_has_it(monkeypatch, machine, device, probes, expected):
    machine(mps=True)
    monkeypatch.setattr(
        torch, "cpu", SimpleNamespace(**{name: lambda yes=yes: yes for name, yes in probes.items()})
    )
    assert profiles.choose("full", device).precision == expected


def test_the_precision_can_be_chosen(monkeypatch):
    for precision in profiles.PRECISIONS:
        monkeypatch.setenv("FASHIONNB_PRECISION", precision)
        assert profiles.choose().precision == precision
    monkeypatch.setenv("FASHIONNB_PRECISION", "fp16")
    with pytest.raises(ProfileError, match=r"no precision 'fp16'.*no, bf16"):
        profiles.choose()


def test_begin_seeds_everything():
    draws = []
    for seed in (3, 3, 4):
        profiles.begin("quick", seed=seed)
        draws.append((np.random.rand(), torch.rand(1).item()))  # noqa: NPY002  the global state is what is tested
    assert draws[0] == draws[1] != draws[2]
