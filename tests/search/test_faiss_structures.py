"""fashionnb.search.faiss_structures: no setting of FAISS changes that another thread could see."""

import threading

import faiss
import numpy as np
import pytest

from fashionnb.search.faiss_structures import KINDS, build_structure, on_one_thread
from fashionnb.search.index import Index


def settings():
    return faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold


def test_a_function_on_one_thread_leaves_the_others_their_number():
    before, inside, entered, leave = settings(), [], threading.Event(), threading.Event()

    def wait():
        inside.append(faiss.omp_get_max_threads())
        entered.set()
        leave.wait(10)
        return "done"

    answers = []
    caller = threading.Thread(target=lambda: answers.append(on_one_thread(wait)))
    caller.start()
    entered.wait(10)
    assert (inside, settings()) == ([1], before)
    leave.set()
    caller.join()
    assert answers == ["done"]


@pytest.mark.parametrize("kind", KINDS)
def test_building_and_searching_change_no_setting_of_faiss(kind, monkeypatch):
    def refuse(*_):
        pytest.fail("the number of threads was set for the thread that called")

    before, caller, set_threads = settings(), threading.get_ident(), faiss.omp_set_num_threads
    monkeypatch.setattr(
        faiss,
        "omp_set_num_threads",
        lambda n: (refuse if threading.get_ident() == caller else set_threads)(n),
    )
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    Index.build(vectors, list(map(str, range(300))), kind=kind).search(vectors[:50])
    assert settings() == before


def test_an_error_inside_comes_out(monkeypatch):
    monkeypatch.setattr(faiss, "IndexFlatL2", None)
    with pytest.raises(TypeError):
        build_structure("exact", np.ones((2, 2), np.float32), 0)
