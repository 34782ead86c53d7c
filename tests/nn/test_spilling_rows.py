import errno
from contextlib import closing

import pytest
import torch

from mstool.errors import OutputError
from mstool.nn import spilling_rows
from mstool.nn.spilling_rows import SpillingRows


def parts(sizes=(3, 0, 5, 1)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 4, generator=generator) for size in sizes]


@pytest.mark.parametrize("most_in_memory", [0, 100, 10**6])
def test_rows_come_back_in_order_wherever_they_were(tmp_path, most_in_memory):
    with closing(SpillingRows(4, tmp_path, most_in_memory)) as rows:
        for part in parts():
            rows.append(part)
        assert rows.is_spilled == (most_in_memory < 9 * 4 * 4)
        found = rows.finish()
        assert list(tmp_path.iterdir()) == []
    del rows
    assert torch.equal(found, torch.cat(parts()))


def test_no_rows_are_a_tensor_too(tmp_path):
    assert SpillingRows(4, tmp_path).finish().shape == (0, 4)


def test_memory_holds_no_more_than_the_bound(tmp_path):
    with closing(SpillingRows(4, tmp_path, 100)) as rows:
        for part in parts([4] * 20):
            rows.append(part)
            assert sum(kept.nbytes for kept in rows._parts) <= 100


def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    def fail(**options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spilling_rows.tempfile, "TemporaryFile", fail)
    rows = SpillingRows(4, tmp_path, 0)
    with pytest.raises(OutputError, match=r"no room.*No space left on device.*fewer --pixels"):
        rows.append(parts()[0])
