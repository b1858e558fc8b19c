import pytest
import torch

from lab1.training.seeds import STREAMS, derive, generator, global_stream


def test_streams_and_seeds_are_kept_apart():
    derived = {(stream, seed): derive(seed, stream) for stream in STREAMS for seed in range(100)}
    assert len(set(derived.values())) == len(derived)
    assert all(0 <= each < 2**63 for each in derived.values())


def test_the_streams_do_not_depend_on_machine_or_process():
    """Other numbers here are other splits, orders and initial weights everywhere: see RECIPE."""
    assert derive(0, "split") == 4719946621281231735
    assert derive(1, "order") == 8749026819814688043


def test_an_unknown_stream_is_refused():
    with pytest.raises(ValueError, match="no random stream 'shuffle'; there are initialisation"):
        generator(0, "shuffle")


def test_the_global_stream_does_not_depend_on_what_was_drawn_before():
    def draws():
        with global_stream(3, "dropout"):
            return torch.rand(5)

    first = draws()
    torch.rand(17)
    assert torch.equal(draws(), first)
    with global_stream(3, "initialisation"):
        assert not torch.equal(torch.rand(5), first)
    with global_stream(4, "dropout"):
        assert not torch.equal(torch.rand(5), first)


@pytest.mark.parametrize("fails", [False, True])
def test_the_global_generator_is_put_back(fails):
    before = torch.get_rng_state()
    try:
        with global_stream(0, "dropout"):
            torch.rand(3)
            assert not torch.equal(torch.get_rng_state(), before)
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert torch.equal(torch.get_rng_state(), before)
