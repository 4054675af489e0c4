"""The loop: it learns, it can be stopped anywhere and goes on to the last bit, and it says what is wrong."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from platforms import unix_only
from torch import nn

from fashionnb import training
from fashionnb.checkpoints import fingerprint
from fashionnb.errors import CollapseWarning, TrainingError
from fashionnb.training import COLLAPSED, Recipe, fit, learning_rate

STEPS = 5
TIMES = ["seconds", "images_per_second"]


class Net(nn.Module):
    """Small, with everything that could spoil a resumed run: dropout, running statistics, its own memory layout."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.arguments = {"width": width}
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(width, 3)
        self.to(memory_format=torch.channels_last)

    def forward(self, images):
        return self.head(
            self.body(images.contiguous(memory_format=torch.channels_last)).mean((2, 3))
        )


def net(width: int = 4) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Net(width)


def batches(_epoch, generator):
    """Endless; the labels can be seen in the images."""
    while True:
        labels = torch.randint(3, (8,), generator=generator)
        images = (
            torch.randint(0, 60, (8, 1, 6, 6), generator=generator)
            + 90 * labels[:, None, None, None]
        )
        yield images.to(torch.uint8), labels


def loss(model, batch):
    images, labels = batch
    logits = model(images)
    return nn.functional.cross_entropy(logits, labels), {
        "right": float((logits.argmax(1) == labels).float().mean())
    }


def validate(model):
    assert not model.training
    assert not torch.is_grad_enabled()
    images, labels = next(iter(batches(0, torch.Generator().manual_seed(1))))
    return {"score": -float(nn.functional.cross_entropy(model(images / 255), labels))}


RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.03)


def train(folder, model=None, recipe=RECIPE, **settings):
    settings = {
        "batches": batches,
        "loss": loss,
        "validate": validate,
        "steps_per_epoch": STEPS,
    } | settings
    model = model or net()
    history = fit(model, recipe=recipe, folder=folder, progress=False, **settings)
    return model, history


def same_run(one, other):
    """The same weights to the last bit, and the same history but for the times."""
    pd.testing.assert_frame_equal(
        one[1].drop(columns=TIMES), other[1].drop(columns=TIMES), check_exact=True
    )
    return fingerprint(one[0]) == fingerprint(other[0])


def test_it_learns_and_returns_the_history(tmp_path):
    seen = []
    model, history = train(
        tmp_path, recipe=Recipe(12, 8, 0.03), on_epoch=lambda table: seen.append(len(table))
    )
    assert history["loss"].iloc[-1] < 0.6 < 0.9 < history["loss"].iloc[0]  # chance is ln 3 = 1.1
    assert list(history["epoch"]) == seen == list(range(1, 13))
    expected = ["epoch", "loss", "right", "learning_rate", *TIMES, "score"]
    assert list(history) == expected
    assert not model.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors"]


def test_the_same_seed_gives_the_same_run_and_another_gives_another(tmp_path):
    one = train(tmp_path / "a")
    torch.manual_seed(99)  # the caller's random state is no part of it
    assert same_run(one, train(tmp_path / "b"))
    other = train(tmp_path / "c", recipe=Recipe(4, 8, 0.03, seed=1))
    assert fingerprint(one[0]) != fingerprint(other[0])


def test_the_callers_random_state_is_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    train(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("schedule", ["one-cycle", "warm-cosine"])
@pytest.mark.parametrize("calls", [1, 3, STEPS, STEPS + 1, 3 * STEPS + 4])
@pytest.mark.parametrize("every", [0.0, 1e9], ids=["saved each step", "saved each epoch"])
def test_an_exception_anywhere_then_the_same_run_to_the_last_bit(
    tmp_path, monkeypatch, calls, schedule, every
):
    monkeypatch.setattr(training.resume, "SAVE_EVERY", every)
    recipe = Recipe(4, 8, 0.03, schedule=schedule)
    settings = {"recipe": recipe, "monitor": "score"}
    left = calls

    def breaking(model, batch):
        nonlocal left
        left -= 1
        if left < 0:
            raise StoppedError
        return loss(model, batch)

    with pytest.raises(StoppedError):
        train(tmp_path / "broken", loss=breaking, **settings)
    assert same_run(train(tmp_path / "broken", **settings), train(tmp_path / "whole", **settings))


def test_an_exception_while_measuring_is_made_good_too(tmp_path):
    def breaking(_model):
        raise StoppedError

    with pytest.raises(StoppedError):
        train(tmp_path / "broken", validate=breaking)
    assert same_run(train(tmp_path / "broken"), train(tmp_path / "whole"))


CHILD = """
    import sys
    from functools import partial
    sys.path[:0] = [{here!r}, {here!r} + "/support"]
    from fashionnb.training import resume
    from test_training import *
    resume.SAVE_EVERY = 0.0
    count = 0
    def slow(loss, model, batch):
        global count
        count += 1
        print(count, flush=True)
        time.sleep(0.05)
        return loss(model, batch)
    torch.set_num_threads({threads})
    settings = {settings}()
    train({folder!r}, **settings | {{"loss": partial(slow, settings["loss"])}})
"""


def monitored():
    return {"loss": loss, "monitor": "score"}


def started(folder, settings=monitored, step=8):
    """The same training in a process of its own, slowly; returns it at that step."""
    from pathlib import Path

    places = {
        "here": str(Path(__file__).parent),
        "folder": str(folder),
        "threads": torch.get_num_threads(),
    }
    code = textwrap.dedent(CHILD).format(**places, settings=settings.__name__)
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in child.stdout:
        if line.strip() == str(step):
            break
    return child


def test_a_run_taken_up_says_what_it_had_cost_before(tmp_path):
    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    recipe = Recipe(3, 8, 0.01)
    with pytest.raises(KeyboardInterrupt):
        fit(
            net(),
            batches,
            loss,
            recipe,
            steps_per_epoch=STEPS,
            folder=tmp_path,
            progress=False,
            on_epoch=stop,
        )
    history = fit(
        net(), batches, loss, recipe, steps_per_epoch=STEPS, folder=tmp_path, progress=False
    )
    assert 0 < history.attrs["earlier_seconds"] < history["seconds"].sum()
    again = fit(
        net(), batches, loss, recipe, steps_per_epoch=STEPS, folder=tmp_path, progress=False
    )
    assert again.attrs["earlier_seconds"] == pytest.approx(history["seconds"].sum())


@unix_only
def test_a_killed_process_then_the_same_run_to_the_last_bit(tmp_path):
    child = started(tmp_path / "killed")
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert same_run(
        train(tmp_path / "killed", monitor="score"), train(tmp_path / "whole", monitor="score")
    )


def following_the_validation():
    """Classes that went badly get more of the batch; pictures are shifted; two losses at once. Everything is afresh."""
    seen = {"history": pd.DataFrame()}

    def weights(epoch):
        if epoch == 1:
            return torch.ones(3)
        row = seen["history"].iloc[epoch - 2]  # what was measured before this epoch
        return torch.tensor([row[f"class {c}"] for c in range(3)])

    def weighted_batches(epoch, generator):
        while True:
            labels = torch.multinomial(weights(epoch), 8, replacement=True, generator=generator)
            images = (
                torch.randint(0, 60, (8, 1, 6, 6), generator=generator)
                + 90 * labels[:, None, None, None]
            )
            shift = int(torch.randint(-1, 2, (1,), generator=generator))
            yield images.roll(shift, 3).to(torch.uint8), labels

    def two_losses(model, batch):
        entropy, numbers = loss(model, batch)
        z = nn.functional.normalize(model(batch[0]))
        pulled = ((z @ z.T - 1) * (batch[1][:, None] == batch[1])).square().mean()
        return entropy + 0.5 * pulled, {
            **numbers,
            "cross entropy": entropy.detach(),
            "pulled": pulled.detach(),
        }

    def per_class(model):
        images, labels = next(iter(batches(0, torch.Generator().manual_seed(1))))
        losses = nn.functional.cross_entropy(model(images / 255), labels, reduction="none")
        return {f"class {c}": float(losses[labels == c].sum()) + 0.1 for c in range(3)}

    follow = {"on_epoch": lambda history: seen.update(history=history)}
    return {"batches": weighted_batches, "loss": two_losses, "validate": per_class, **follow}


@unix_only
def test_batches_that_follow_the_validation_go_on_to_the_last_bit(tmp_path):
    child = started(
        tmp_path / "killed", following_the_validation, step=2 * STEPS + 3
    )  # in the middle of epoch 3
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    steps = []
    settings = following_the_validation()
    counted = settings | {
        "loss": lambda model, batch: steps.append(1) or settings["loss"](model, batch)
    }
    resumed, whole = (
        train(tmp_path / "killed", **counted),
        train(tmp_path / "whole", **following_the_validation()),
    )
    assert STEPS < len(steps) < 2 * STEPS  # the rest of epoch 3, and epoch 4
    assert same_run(resumed, whole)
    shares = whole[1][[f"class {c}" for c in range(3)]].iloc[1]
    assert shares.max() > 1.2 * shares.min()  # otherwise nothing was followed


def test_the_same_functions_go_on_in_the_same_process(tmp_path):
    """As in a notebook, where the cell with `fit` is run again after Ctrl-C, and no other."""
    settings = following_the_validation()
    stop = iter([*[False] * 12, True, *[False] * 20])

    def breaking(model, batch):
        if next(stop):
            raise StoppedError
        return settings["loss"](model, batch)

    with pytest.raises(StoppedError):
        train(tmp_path / "broken", **settings | {"loss": breaking})
    resumed = train(tmp_path / "broken", **settings | {"loss": breaking})
    assert same_run(resumed, train(tmp_path / "whole", **following_the_validation()))


def test_on_epoch_gets_the_history_after_each_epoch_and_after_resuming(tmp_path):
    heard = []

    def hear(history):
        heard.append(list(history["epoch"]))
        if heard == [[1], [1, 2]]:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(tmp_path, on_epoch=hear)
    _, history = train(tmp_path, on_epoch=hear)
    assert heard == [[1], [1, 2], [1, 2], [1, 2, 3], [1, 2, 3, 4]]
    train(
        tmp_path,
        on_epoch=lambda table: pd.testing.assert_frame_equal(table, history, check_exact=True),
    )


def losing(spreads, level=0.2):
    """A loss that logs these spreads, one for each epoch, and stands at about that level."""
    steps = iter(spread for spread in spreads for _ in range(STEPS))

    def measured(model, batch):
        return 0 * loss(model, batch)[0] + level, {"spread": next(steps)}

    return measured


@pytest.mark.parametrize(
    ("level", "about", "stands"),
    [
        (0.201, {"margin": 0.2}, ": it stands at the margin."),
        (0.69, {"margin": "soft"}, ": it stands at ln 2 = 0.693"),
        (0.69, None, ": it stands at ln 2 = 0.693"),
        (0.201, None, "0.201. Training"),
        (0.3, {"margin": 0.2}, "0.300. Training"),
    ],
)
def test_a_collapse_warns_once(tmp_path, level, about, stands):
    spreads = [0.5, 0.004, 0.003, 0.5]
    with pytest.warns(CollapseWarning) as caught:
        _, history = train(tmp_path, loss=losing(spreads, level), about=about)
    assert len(history) == 4  # the training went on
    (warning,) = caught
    message = str(warning.message)
    assert "collapsed in epoch 2: their spread is 0.004 " in message
    assert stands in message
    assert ("stands at" in message) == ("stands at" in stands)
    assert "semi-hard" in message
    assert "learning_rate (now 0.03), a margin" in message  # one-cycle warms up already
    assert warning.filename == __file__


@pytest.mark.parametrize(
    "spreads", [[COLLAPSED] * 4, [math.nan] * 4, None], ids=["wide enough", "nan", "no spread"]
)
def test_no_collapse_no_warning(tmp_path, spreads):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, loss=losing(spreads) if spreads else loss)


def test_a_collapse_does_not_warn_again_after_resuming(tmp_path):
    def stop(history):
        if len(history) == 2:
            raise StoppedError

    recipe = Recipe(4, 8, 0.03, schedule="constant")
    with (
        pytest.warns(CollapseWarning, match=r"in epoch 1.*or a warm-up"),
        pytest.raises(StoppedError),
    ):
        train(tmp_path, loss=losing([0.01] * 4), recipe=recipe, on_epoch=stop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path, loss=losing([0.01] * 2), recipe=recipe)


@unix_only
def test_ctrl_c_finishes_the_step_saves_and_stops(tmp_path):
    child = started(tmp_path / "stopped")
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt: stopped and saved" in errors
    steps = []
    run = train(
        tmp_path / "stopped",
        monitor="score",
        loss=lambda model, batch: steps.append(1) or loss(model, batch),
    )
    assert (
        4 * STEPS - 12 <= len(steps) <= 4 * STEPS - 8
    )  # the 8 it had begun, or a few more, were not done again
    assert same_run(run, train(tmp_path / "whole", monitor="score"))


@unix_only
def test_ctrl_c_here_and_the_handler_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def interrupting(model, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return loss(model, batch)

    with pytest.raises(KeyboardInterrupt, match="the same call resumes there"):
        train(tmp_path, loss=interrupting)
    assert signal.getsignal(signal.SIGINT) is before


@unix_only
def test_a_second_ctrl_c_does_not_wait(tmp_path):
    def stuck(_model, _batch):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        pytest.fail("the second Ctrl-C should have interrupted")

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, loss=stuck)


def test_it_trains_in_a_thread_where_there_are_no_signals(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(train(tmp_path / "thread")))
    thread.start()
    thread.join()
    assert same_run(done[0], train(tmp_path / "main"))


def test_a_finished_run_is_returned_at_once(tmp_path):
    one = train(tmp_path)

    def never(_model, _batch):
        pytest.fail("nothing is left to train")

    other = train(tmp_path, loss=never)
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)  # the times as well
    assert fingerprint(one[0]) == fingerprint(other[0])


def test_the_best_epoch_is_kept(tmp_path):
    scores, prints = iter([0.3, 0.9, 0.1, 0.9]), {}

    def measured(model):
        prints[len(prints) + 1] = fingerprint(model)
        return {"score": next(scores)}

    model, _ = train(tmp_path, validate=measured, monitor="score")
    assert fingerprint(model) == prints[2]  # of equals, the earlier
    again, _ = train(tmp_path, monitor="score")
    assert fingerprint(again) == prints[2]


def test_without_monitor_the_last_epoch_is_kept(tmp_path):
    prints = []
    model, _ = train(tmp_path, validate=lambda model: prints.append(fingerprint(model)) or {})
    assert fingerprint(model) == prints[-1] != prints[-2]


AVERAGING = Recipe(4, 8, 0.03, schedule="constant", average=2)


def test_the_mean_over_the_last_epochs_is_kept(tmp_path):
    """The weights after each step of epochs 3 and 4, noted before the next step and at the end."""
    seen = []

    def noting(model, batch):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return loss(model, batch)

    model, _ = train(tmp_path / "mean", recipe=AVERAGING, loss=noting)
    last, _ = train(tmp_path / "last", recipe=Recipe(4, 8, 0.03, schedule="constant"))
    after = [*seen[2 * STEPS + 1 :], last.state_dict()]
    assert len(after) == 2 * STEPS
    assert fingerprint(model) != fingerprint(last)
    for name, tensor in model.state_dict().items():
        expected = torch.stack([weights[name].double() for weights in after]).mean(0)
        if not tensor.is_floating_point():
            expected = after[-1][name]
        torch.testing.assert_close(tensor, expected.to(tensor.dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("calls", [1, 2 * STEPS, 2 * STEPS + 1, 3 * STEPS, 3 * STEPS + 4])
@pytest.mark.parametrize("every", [0.0, 1e9], ids=["saved each step", "saved each epoch"])
def test_a_mean_goes_on_to_the_last_bit(tmp_path, monkeypatch, calls, every):
    monkeypatch.setattr(training.resume, "SAVE_EVERY", every)
    left = calls

    def breaking(model, batch):
        nonlocal left
        left -= 1
        if left < 0:
            raise StoppedError
        return loss(model, batch)

    with pytest.raises(StoppedError):
        train(tmp_path / "broken", recipe=AVERAGING, loss=breaking)
    whole = train(tmp_path / "whole", recipe=AVERAGING)
    assert same_run(train(tmp_path / "broken", recipe=AVERAGING), whole)
    assert same_run(
        train(tmp_path / "broken", recipe=AVERAGING), whole
    )  # finished: returned at once


def test_a_mean_and_a_best_epoch_exclude_each_other(tmp_path):
    with pytest.raises(TrainingError, match=r"`monitor` or `recipe\.average`"):
        train(tmp_path, recipe=AVERAGING, monitor="score")


def test_a_run_saved_without_a_mean_is_not_taken_for_one_with(tmp_path):
    train(tmp_path, recipe=Recipe(4, 8, 0.03, schedule="constant"))
    with pytest.raises(TrainingError, match="recipe average: 0 there, 2 now"):
        train(tmp_path, recipe=AVERAGING)


def doubled(epoch, generator):
    for images, labels in batches(epoch, generator):
        yield images * 2, labels


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"recipe": Recipe(4, 8, 0.01)}, "recipe learning_rate: 0.03 there, 0.01 now"),
        ({"recipe": Recipe(5, 8, 0.03)}, "recipe epochs: 4 there, 5 now"),
        ({"model": net(5)}, "model arguments width: 4 there, 5 now"),
        ({"about": {"margin": 0.3}}, "about margin: 0.2 there, 0.3 now"),
        ({"steps_per_epoch": 6}, "steps_per_epoch: 5 there, 6 now"),
        ({"monitor": "loss"}, "monitor: None there, loss now"),
        ({"batches": doubled}, "first batch"),
        ({}, "delete"),
    ],
)
def test_another_run_in_the_folder_is_refused(tmp_path, change, phrase):
    train(tmp_path, about={"margin": 0.2})
    last = (tmp_path / "last.safetensors").read_bytes()
    if not change:
        change = {"about": {"margin": 0.3}}
    with pytest.raises(TrainingError, match=phrase):
        train(tmp_path, **({"about": {"margin": 0.2}} | change))
    assert (tmp_path / "last.safetensors").read_bytes() == last


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", None], ids=["empty", "nonsense", "cut short"]
)
def test_a_broken_file_is_refused(tmp_path, content):
    train(tmp_path)
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-40] if content is None else content)
    with pytest.raises(TrainingError, match="not a whole safetensors file"):
        train(tmp_path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "last.safetensors")
    with pytest.raises(TrainingError, match="not a saved training run"):
        train(tmp_path)


def test_a_lost_best_epoch_is_refused(tmp_path):
    train(tmp_path, monitor="score")
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"best\.safetensors is missing"):
        train(tmp_path, monitor="score")


def test_a_loss_that_is_not_finite_stops_before_it_spoils_the_weights(tmp_path):
    good = 7

    def exploding(model, batch):
        nonlocal good
        good -= 1
        return loss(model, batch)[0] * (1 if good >= 0 else math.nan)

    model = net()
    with pytest.raises(TrainingError, match=r"became nan in epoch 2, step 3.*lower learning_rate"):
        train(tmp_path, model, loss=exploding)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("number", [0, 3], ids=["none", "too few"])
def test_batches_that_end_too_early(tmp_path, number):
    def few(epoch, generator):
        return (batch for batch, _ in zip(batches(epoch, generator), range(number), strict=False))

    with pytest.raises(
        TrainingError,
        match="not a single batch" if not number else "ended after 3 batches, 5 were",
    ):
        train(tmp_path, batches=few)


def test_a_monitor_that_is_not_measured(tmp_path):
    with pytest.raises(
        TrainingError, match=r"'recall@1', which was not measured in epoch 1.*one of epoch, loss"
    ):
        train(tmp_path, monitor="recall@1")
    with pytest.raises(TrainingError, match="which was nan"):
        train(tmp_path / "nan", validate=lambda _model: {"score": math.nan}, monitor="score")


def test_validate_may_not_use_the_loops_own_names(tmp_path):
    with pytest.raises(TrainingError, match="`validate` returned loss"):
        train(tmp_path, validate=lambda _model: {"loss": 1.0})


@pytest.mark.parametrize(
    ("wrong", "phrase"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"clip": math.nan}, "clip is nan"),
        ({"schedule": "cosine"}, "one of one-cycle, constant"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"seed": -1}, "seed is -1"),
        ({"average": -1}, "average is -1"),
    ],
)
def test_a_recipe_that_makes_no_sense(wrong, phrase):
    with pytest.raises(TrainingError, match=phrase):
        Recipe(**({"epochs": 1, "batch_size": 8, "learning_rate": 0.1} | wrong))


def test_a_device_that_is_not_here(tmp_path):
    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(TrainingError, match="Accelerate finds only"):
        train(tmp_path, recipe=Recipe(1, 8, 0.1, device=absent))


@pytest.mark.parametrize(
    ("device", "here", "processes", "expected"),
    [
        ("cpu", "cpu", 2, "cpu"),
        ("cuda", "cuda:1", 2, "cuda:1"),  # each process has a GPU of its own
        ("cpu", "cuda", 1, "cpu"),
        ("cpu", "cuda:1", 2, None),
        ("mps", "cuda", 1, None),
        ("cuda:1", "cuda", 1, "cuda:1"),
        ("cuda:1", "cuda:0", 2, "cuda:0"),
    ],
)
def test_the_device_is_that_of_the_recipe(device, here, processes, expected):
    accelerator = SimpleNamespace(device=torch.device(here), num_processes=processes)
    recipe = Recipe(1, 8, 0.1, device=device)
    if expected:
        assert training._device(recipe, accelerator) == torch.device(expected)
    else:
        with pytest.raises(TrainingError, match="Accelerate finds only 'cuda'"):
            training._device(recipe, accelerator)


def test_another_precision_in_the_same_process(tmp_path):
    full, half = (
        train(tmp_path / "a"),
        train(tmp_path / "b", recipe=Recipe(4, 8, 0.03, precision="bf16")),
    )
    assert abs(full[1]["loss"].iloc[-1] - half[1]["loss"].iloc[-1]) < 0.1
    assert fingerprint(full[0]) != fingerprint(half[0])
    assert half[0](torch.rand(2, 1, 6, 6)).dtype == torch.float32
    assert same_run(full, train(tmp_path / "c"))


def test_bf16_trains_but_losses_and_measures_are_in_float32(tmp_path):
    model, inside = net(), []
    model.head.register_forward_hook(
        lambda head, _inputs, output: inside.append((head.training, output.dtype))
    )

    def outputs_checked(model, batch):
        assert model(batch[0]).dtype == torch.float32
        return loss(model, batch)

    settings = {"recipe": Recipe(2, 8, 0.03, precision="bf16"), "monitor": "score"}
    model, history = train(tmp_path, model, loss=outputs_checked, **settings)
    assert set(inside) == {(True, torch.bfloat16), (False, torch.float32)}
    with torch.no_grad():
        assert (
            validate(model)["score"] == history["score"].max()
        )  # what was measured in between still holds


def test_a_failed_run_in_bf16_leaves_the_model_itself_in_float32(tmp_path):
    model, dtypes = net(), []
    model.head.register_forward_hook(lambda _module, _inputs, output: dtypes.append(output.dtype))

    def breaking(model, batch):
        model(batch[0])
        raise StoppedError

    with pytest.raises(StoppedError):
        train(tmp_path, model, loss=breaking, recipe=Recipe(4, 8, 0.03, precision="bf16"))
    model(torch.rand(2, 1, 6, 6))
    assert dtypes == [torch.bfloat16, torch.float32]


def test_bf16_leaves_no_trace_on_the_model(tmp_path):
    model = net()
    train(tmp_path, model, recipe=Recipe(1, 8, 0.03, precision="bf16"))
    assert "forward" not in vars(model)


def test_the_seconds_are_those_of_training_alone(tmp_path):
    def slow(_model):
        time.sleep(0.5)
        return {}

    _, history = train(tmp_path, validate=slow, on_epoch=lambda _table: time.sleep(0.5))
    fast = train(tmp_path / "fast")[1]
    assert (
        history["seconds"].sum() < fast["seconds"].sum() + 2
    )  # and not the 4 seconds that were slept
    assert (history["images_per_second"] * history["seconds"]).tolist() == pytest.approx(
        [8 * STEPS] * 4
    )


def test_the_bar_counts_steps_and_can_be_switched_off(tmp_path, capsys):
    fit(net(), batches, loss, Recipe(2, 8, 0.03), steps_per_epoch=STEPS, folder=tmp_path / "a")
    shown = capsys.readouterr()
    assert "epoch 2: 100%" in shown.err
    assert "10/10" in shown.err
    train(tmp_path / "b")
    assert capsys.readouterr().err == shown.out == ""


def test_frozen_weights_stay(tmp_path):
    model = net()
    model.body.requires_grad_(False)
    before = model.body[0].weight.clone()
    train(tmp_path, model)
    assert torch.equal(model.body[0].weight, before)
    with pytest.raises(TrainingError, match="frozen there"):
        train(tmp_path)


def test_matrices_and_kernels_shrink_gains_and_biases_do_not(tmp_path):
    def level(model, batch):
        return 0 * sum(parameter.sum() for parameter in model.parameters())

    model, before = net(), net()
    train(
        tmp_path,
        model,
        loss=level,
        recipe=Recipe(1, 8, 0.1, weight_decay=0.5, schedule="constant", clip=0),
    )
    for (name, was), now in zip(before.named_parameters(), model.parameters(), strict=True):
        shrunk = 0.95**STEPS if name in ("body.0.weight", "head.weight") else 1
        torch.testing.assert_close(now, was * shrunk)


def test_clip_shortens_the_gradient(tmp_path):
    norms = []

    class Spy(torch.optim.AdamW):
        def step(self, closure=None):
            norms.append(
                torch.cat([p.grad.flatten() for g in self.param_groups for p in g["params"]])
                .norm()
                .item()
            )
            return super().step(closure)

    for clip in (0.0, 0.05):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim, "AdamW", Spy)
            train(tmp_path / str(clip), recipe=Recipe(1, 8, 0.03, clip=clip))
    assert max(norms[:STEPS]) > 0.1
    assert max(norms[STEPS:]) <= 0.05 + 1e-6


def test_one_cycle_rises_then_falls():
    recipe = Recipe(1, 1, 0.5)
    rates = [learning_rate(recipe, done / 100) for done in range(101)]
    assert rates[0] == pytest.approx(0.5 / 25)
    assert max(rates) == rates[30] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0, abs=1e-9)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_warm_cosine_rises_along_a_line_then_falls():
    recipe = Recipe(1, 1, 0.5, schedule="warm-cosine")
    rates = [learning_rate(recipe, done / 100) for done in range(101)]
    assert rates[:11] == pytest.approx([0.05 * done for done in range(11)])
    assert rates[55] == pytest.approx(0.25)
    assert rates[100] == pytest.approx(0, abs=1e-9)
