"""What processes of one training do alone; what they do together is in commands/test_torchrun."""

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import distributed, nn

from mstool.errors import Interrupted, UnavailableError, UsageError
from mstool.nn import cores, team
from mstool.nn.shared_norm import share_norms
from mstool.nn.team import ALONE, Team, device_of, is_team, refuse_small_batches

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}


@pytest.fixture
def group():
    """A group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("n_items", [4, 5, 6, 7, 8])
def test_every_item_is_of_one_process_and_none_is_idle(n_items):
    shares = [Team(rank, 4).share(range(n_items)) for rank in range(4)]
    assert [item for share in shares for item in share] == list(range(n_items))
    assert min(map(len, shares)) >= 1
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_those_with_one_more_are_spread_over_all():
    assert [len(Team(rank, 4).share("abcdef")) for rank in range(4)] == [2, 1, 2, 1]


def test_one_process_does_all_itself():
    values = np.arange(3)
    assert ALONE.total(values) is values
    assert (ALONE.most(3), ALONE.follow("done"), ALONE.share("ab")) == (3, "done", ["a", "b"])
    with ALONE.in_turn():
        ALONE.wait()


def test_the_mean_of_gradients_over_processes_becomes_their_sum():
    # AdamW would hardly tell: its steps do not depend on the size of gradients
    assert Team(1, 4).share_of_loss(torch.tensor(0.5)) == 2
    assert ALONE.share_of_loss(torch.tensor(0.5)) == 0.5


def test_batches_smaller_than_the_team_are_refused():
    refuse_small_batches(12, 8, 6)
    with pytest.raises(UsageError, match="leaves batches of 2 of 5 tiles"):
        refuse_small_batches(5, 3, 3)


def test_torchrun_is_told_by_its_variables():
    assert is_team(TORCHRUN)
    assert not is_team(TORCHRUN | {"WORLD_SIZE": "1"})
    assert not is_team({"RANK": "0", "WORLD_SIZE": "2"})


def test_each_process_has_its_own_gpu(monkeypatch):
    assert device_of("cuda:1", {}) == "cuda:1"
    assert device_of("cpu", TORCHRUN) == "cpu"
    assert device_of("cuda", TORCHRUN) == "cuda:1"
    for has_gpu, device in ((True, "cuda:1"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        assert device_of("auto", TORCHRUN) == device
    with pytest.raises(UsageError, match="--device cuda:0"):
        device_of("cuda:0", TORCHRUN)


def test_cores_are_shared_by_the_processes_of_a_machine(monkeypatch):
    alone = cores.available_cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cores.available_cores() == max(1, alone // 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "many")
    assert cores.available_cores() == alone


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNormAct2d])
def test_shared_norm_of_one_process_is_the_plain_one(group, kind):
    torch.manual_seed(0)
    plain, shared = nn.Sequential(kind(3)), nn.Sequential(kind(3))
    shared.load_state_dict(plain.state_dict())
    share_norms(shared)
    one = (100 + torch.randn(2, 3, 4, 5)).requires_grad_()
    other = one.detach().clone().requires_grad_()
    upstream = torch.randn(2, 3, 4, 5)
    for network, images in ((plain, one), (shared, other)):
        (network(images) * upstream).sum().backward()
    torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-5)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(shared.state_dict()[name], tensor)
    torch.testing.assert_close(shared.eval()(other), plain.eval()(one))


def test_unknown_norms_are_refused():
    with pytest.raises(UnavailableError, match="BatchNorm1d"):
        share_norms(nn.Sequential(nn.BatchNorm1d(3)))


def test_one_process_speaks_and_the_others_are_silent():
    store = distributed.HashStore()
    assert [team._is_told(store) for _ in range(3)] == [False, True, True]


def test_a_lost_process_is_told_in_words():
    lost = team._explain(RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer"))
    assert isinstance(lost, Interrupted)
    assert lost.exit_code == 75
    for other in (RuntimeError("shapes differ"), KeyboardInterrupt()):
        assert team._explain(other) is other
