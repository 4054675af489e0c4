"""fashionnb.profiles: how big a run is."""

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


def test_begin_seeds_everything():
    draws = []
    for seed in (3, 3, 4):
        profiles.begin("quick", seed=seed)
        draws.append((np.random.rand(), torch.rand(1).item()))  # noqa: NPY002  the global state is what is tested
    assert draws[0] == draws[1] != draws[2]
