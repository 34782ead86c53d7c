"""What a run of a verb does about work that is there."""

import pytest

from mstool.io.records import write_record
from mstool.pipeline.job import Job
from mstool.pipeline.shards import Shard
from mstool.reporting import Reporter


@pytest.mark.parametrize(
    ("overwrite", "left_out", "state"),
    [(False, [], None), (True, [], "new"), (False, ["a.tif"], "new")],
    ids=["merged", "to be made again", "merged but for one"],
)
def test_a_shard_that_is_merged_is_made_again_where_there_is_reason(
    tmp_path, overwrite, left_out, state
):
    out = tmp_path / "out"
    out.mkdir()
    write_record(out / "a.json", {"settings": {}, "inputs": {}, "left_out": left_out})
    job = Job(out, overwrite, Reporter()).divided(Shard(0, 2), out / "a.json")
    work = job.claim("a.json", (), {}, [])
    assert (work and work.state) == state
    if work is not None:
        work.folder.remove()
