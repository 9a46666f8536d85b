"""What the feed does about a batch that fails, in the ways of Lambda's event source mapping."""

from __future__ import annotations

import pytest

from infra.local.mapping import RETRIES
from tests.support.engines import Tables
from tests.support.feeding import (
    NOTHING_FAILED,
    PATIENCE,
    Function,
    Record,
    failing,
    feeding,
    number_of,
    put,
)
from tests.support.scripted_streams import fed


class TestFailures:
    def test_a_partial_batch_response_goes_on_at_the_lowest(self, tables: Tables) -> None:
        def third_fails_once(records: list[Record]) -> object:
            return failing(records[4], records[2]) if len(sink.batches) == 1 else None

        sink = Function(third_fails_once)
        put(tables, *range(6))
        with feeding(tables, sink) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5]]

    def test_an_exception_brings_the_whole_batch_again_later_and_later(
        self, tables: Tables, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail_thrice(records: list[Record]) -> object:
            if len(sink.batches) <= 3:
                raise ValueError(f"clientEmail was {number_of(records[0])}@x")
            return NOTHING_FAILED

        sink, pauses = Function(fail_thrice), list[float]()
        put(tables, 1, 2)
        with feeding(tables, sink, pause=pauses.append) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2]] * 4
        assert pauses == sorted(set(pauses))
        assert len(pauses) == 3
        # Once, with the place and without the words.
        [told] = caplog.messages
        assert told.startswith("process_stream failed: ValueError")
        assert "fail_thrice" in told
        assert "1@x" not in caplog.text

    @pytest.mark.parametrize("raises", [False, True])
    def test_what_never_gets_through_is_told_and_does_not_block_the_rest(
        self, tables: Tables, raises: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def no_threes(records: list[Record]) -> object:
            bad = [each for each in records if number_of(each) == 3]
            if bad and raises:
                raise ValueError(bad[0]["dynamodb"]["NewImage"]["typed"]["S"])
            through.extend(number_of(each) for each in records if not bad)
            return failing(*bad)

        through: list[int] = []
        sink, lost = Function(no_threes), list[Record]()
        put(tables, *range(6), typed={"S": "jane@x"})
        with feeding(tables, sink, give_up=lost.append) as feed:
            assert feed.drain(PATIENCE)
            put(tables, 6)
            assert feed.drain(PATIENCE)
        [given_up] = lost
        assert given_up["eventName"] == "INSERT"
        assert given_up["tries"] == RETRIES + 1
        assert given_up["failure"] == ("ValueError" if raises else "reported as failed")
        # The partial response says of the first three that they are through.
        assert through == ([0, 1, 2, 4, 5, 6] if raises else [4, 5, 6])
        assert sink.batches[-1] == [6]
        assert f"event {given_up['eventID']} (INSERT)" in caplog.text
        assert "jane" not in caplog.text + str(given_up)

    @pytest.mark.parametrize(
        "answer",
        [
            {"batchItemFailures": [{"itemIdentifier": ""}]},
            {"batchItemFailures": [{"itemIdentifier": None}]},
            {"batchItemFailures": [{"itemIdentifier": "12"}]},
            {"batchItemFailures": [{"id": "1"}]},
            {"batchItemFailures": 7},
            "failed",
        ],
    )
    def test_an_answer_that_names_nothing_fails_the_batch(self, answer: object) -> None:
        sink = Function(lambda _: answer if len(sink.batches) == 1 else None)
        with fed(sink, {"s": [1, 2]}) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2], [1, 2]]

    @pytest.mark.parametrize("answer", [None, {}, [], {"batchItemFailures": None}])
    def test_an_empty_answer_is_success(self, answer: object) -> None:
        sink = Function(lambda _: answer)
        with fed(sink, {"s": [1, 2]}) as feed:
            assert feed.drain(PATIENCE)
        assert sink.batches == [[1, 2]]
