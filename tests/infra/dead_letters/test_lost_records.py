"""Letters of records that the stream forgot, or tells of in part: none is dropped too soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest import mock

import pytest

from chalicelib.ops import stream
from infra.cli import records
from tests.support.client_errors import client_error
from tests.support.letter_desk import LAMBDAS, Desk, broken, streams, three


class Shard:
    """The table's stream, a record at a time, that breaks off or has forgotten its beginning.

    Parameters
    ----------
    pages
        So many are given; then comes what ``then`` gives.
    horizon
        The first record that is still there.
    """

    def __init__(
        self,
        client: Any,
        pages: int = 1_000,
        then: Callable[[str], dict[str, Any]] | None = None,
        horizon: str | None = None,
    ) -> None:
        self._client = client
        self._pages = pages
        self._then = then
        self._horizon = horizon
        self.describe_stream = client.describe_stream

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        if self._horizon is not None:
            if asked["ShardIteratorType"] == "TRIM_HORIZON":
                asked["ShardIteratorType"] = "AT_SEQUENCE_NUMBER"
                asked["SequenceNumber"] = self._horizon
            elif int(asked["SequenceNumber"]) < int(self._horizon):
                raise client_error("TrimmedDataAccessException")
        return dict(self._client.get_shard_iterator(**asked))

    def get_records(self, ShardIterator: str) -> dict[str, Any]:  # noqa: N803 (as AWS has it)
        if self._then is not None and not self._pages:
            return self._then(ShardIterator)
        self._pages -= 1
        return dict(self._client.get_records(ShardIterator=ShardIterator, Limit=1))


def failing(code: str) -> Callable[[str], dict[str, Any]]:
    def fail(_: str) -> dict[str, Any]:
        raise client_error(code)

    return fail


def going_on(iterator: str) -> dict[str, Any]:
    """Give nothing, and a place to go on from."""
    return {"Records": [], "NextShardIterator": iterator}


def ended(_: str) -> dict[str, Any]:
    return {"Records": []}


@contextmanager
def shard(**how: Any) -> Iterator[None]:
    with (
        closing(streams()) as client,
        mock.patch.object(records, "client_of", return_value=Shard(client, **how)),
    ):
        yield


BREAKS = {
    **{
        code: failing(f"{code}Exception")
        for code in ("TrimmedDataAccess", "ResourceNotFound", "Validation", "ExpiredIterator")
    },
    "empty": going_on,
}


@pytest.mark.parametrize("then", BREAKS.values(), ids=BREAKS)
def test_a_batch_that_was_read_in_part_stays(
    desk: Desk, then: Callable[[str], dict[str, Any]]
) -> None:
    first, _, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, third)})
    with shard(pages=1, then=then):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (1, "kept")
    assert ("read in part" in told["why"]) is (then is not BREAKS["ExpiredIterator"])
    assert desk.waiting() == 1
    code, (told,), _ = desk("resend")
    assert (code, told["outcome"]) == (0, "resent")
    assert desk.function.counted()["created"] == 3
    assert desk.waiting() == 0


def test_a_record_that_was_not_looked_for_to_the_end_is_not_lost(desk: Desk) -> None:
    desk.api.start()
    with mock.patch.object(stream, "happening", broken):
        desk.give_up()
    with shard(pages=0, then=going_on):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (1, "kept")
    assert desk("resend")[0] == 0
    assert desk.function.counted()["created"] == 1


def test_of_a_batch_whose_start_is_lost_the_rest_is_processed(desk: Desk) -> None:
    first, second, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, third)})
    with shard(horizon=second):
        code, (told,), _ = desk("resend")
        assert (code, told["outcome"]) == (1, "lost")
        assert "those that are left are processed" in told["why"]
        assert desk.function.counted()["created"] == 2
        assert desk.waiting() == 1
        # What is left is there, and cannot be processed now: no reason to drop it.
        with mock.patch.object(stream, "happening", broken):
            code, (told,), _ = desk("resend", "--drop-lost")
        assert (code, told["outcome"]) == (1, "kept")
        code, (told,), _ = desk("resend", "--drop-lost")
        assert (code, told["outcome"]) == (0, "dropped")
    assert desk.function.counted()["created"] == 2


def test_a_batch_is_lost_where_the_stream_begins_after_it_or_ends_before(desk: Desk) -> None:
    first, second, third = three(desk)
    desk.put({**LAMBDAS, "DDBStreamBatchInfo": desk.batch(first, second)})
    for how in ({"horizon": third}, {"pages": 0, "then": ended}):
        with shard(**how):
            code, (told,), _ = desk("resend")
        assert (code, told["outcome"]) == (1, "lost")
        assert "any more" in told["why"]
    assert desk.function.counted() == {}
    # A beginning is there, and the shard ends with it.
    with shard(pages=1, then=ended):
        code, (told,), _ = desk("resend", "--drop-lost")
    assert (code, told["outcome"]) == (0, "dropped")
    assert desk.function.counted()["created"] == 1
