"""Metrics: what is written, and when."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.observability import STRUCK_OUT, Metrics
from chalicelib.observability.metrics import ENOUGH_VALUES, MAX_AGE, MOST_VALUES
from tests.support.clock import START, Clock
from tests.support.emf import Line, read_emf

SESSION = "2f8f9de6-6b0d-4f86-8a5f-0f2a31f0bb6a"


class Measured:
    """Metrics, and what they have written since it was last looked at."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.stream = io.StringIO()
        self.metrics = Metrics(self.clock, self.stream)

    def lines(self) -> list[Line]:
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return read_emf(text)


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_nothing_is_written_where_nothing_was_added(measured: Measured) -> None:
    measured.metrics.flush()
    measured.metrics.flush_if_due(urgent=True)
    assert measured.lines() == []


def test_one_line_has_all_metrics_of_the_same_dimensions(measured: Measured) -> None:
    add = measured.metrics.add
    add("Created")
    add("Created", 3)
    add("StepErrors", 2, step="2", flow="project")
    add("StoreLatency", 1.23456, "Milliseconds")
    add("StepErrors", 1, flow="project", step="2")
    add("StepErrors", step="3", flow="project")
    assert measured.lines() == []
    measured.metrics.flush()
    assert measured.lines() == [
        Line(
            START,
            {},
            {"Created": [1, 3], "StoreLatency": [1.235]},
            {"Created": "Count", "StoreLatency": "Milliseconds"},
        ),
        Line(
            START, {"flow": "project", "step": "2"}, {"StepErrors": [2, 1]}, {"StepErrors": "Count"}
        ),
        Line(START, {"flow": "project", "step": "3"}, {"StepErrors": [1]}, {"StepErrors": "Count"}),
    ]
    measured.metrics.flush()
    assert measured.lines() == []


def test_what_does_not_fit_goes_into_further_lines(measured: Measured) -> None:
    for value in range(2 * MOST_VALUES + 1):
        measured.metrics.add("Many", value)
    measured.metrics.add("Few", 7)
    measured.metrics.flush()
    lines = measured.lines()
    assert [len(line.values["Many"]) for line in lines] == [MOST_VALUES, MOST_VALUES, 1]
    written = [value for line in lines for value in line.values["Many"]]
    assert written == list(range(2 * MOST_VALUES + 1))
    assert [line.values.get("Few") for line in lines] == [[7], None, None]


def test_values_wait_for_each_other(measured: Measured) -> None:
    for _ in range(ENOUGH_VALUES - 1):
        measured.metrics.add("Latency", 1, "Milliseconds")
        measured.metrics.flush_if_due()
    assert measured.lines() == []
    measured.metrics.add("Latency", 1, "Milliseconds")
    measured.metrics.flush_if_due()
    assert [len(line.values["Latency"]) for line in measured.lines()] == [ENOUGH_VALUES]
    measured.metrics.add("Latency", 1, "Milliseconds")
    measured.metrics.flush_if_due()
    assert measured.lines() == []


def test_but_no_longer_than_a_minute(measured: Measured) -> None:
    measured.metrics.add("Latency", 1, "Milliseconds")
    measured.clock.advance(MAX_AGE - 1)
    measured.metrics.add("Latency", 2, "Milliseconds")
    measured.metrics.flush_if_due()
    assert measured.lines() == []
    measured.clock.advance(1)
    measured.metrics.flush_if_due()
    [line] = measured.lines()
    assert (line.timestamp, line.values) == (START, {"Latency": [1, 2]})


def test_the_oldest_value_begins_the_minute(measured: Measured) -> None:
    measured.metrics.add("Latency", 1, "Milliseconds")
    measured.metrics.flush()
    measured.clock.advance(MAX_AGE)
    measured.metrics.add("Latency", 2, "Milliseconds")
    measured.metrics.flush_if_due()
    assert [line.values["Latency"] for line in measured.lines()] == [[1]]


def test_what_a_frozen_container_held_keeps_its_time(measured: Measured) -> None:
    measured.metrics.add("Latency", 1, "Milliseconds")
    thawed = measured.clock.advance(100 * MAX_AGE)
    measured.metrics.add("ServerErrors")
    measured.metrics.flush_if_due(urgent=True)
    assert [(line.timestamp, *line.values) for line in measured.lines()] == [
        (START, "Latency"),
        (thawed, "ServerErrors"),
    ]


def test_what_is_urgent_takes_the_rest_along(measured: Measured) -> None:
    measured.metrics.add("Latency", 1, "Milliseconds")
    measured.metrics.add("ColdStarts")
    measured.metrics.flush_if_due(urgent=True)
    assert [line.values.keys() for line in measured.lines()] == [{"Latency", "ColdStarts"}]


def test_a_dimension_that_looks_like_an_id_is_struck_out(measured: Measured) -> None:
    measured.metrics.add("Created", flow=SESSION)
    measured.metrics.flush()
    assert [line.dimensions for line in measured.lines()] == [{"flow": STRUCK_OUT}]


def test_what_cloudwatch_would_drop_is_refused(measured: Measured) -> None:
    add = measured.metrics.add
    with pytest.raises(ValueError, match="no metric"):
        add("Latency", 1, "ms")
    with pytest.raises(ValueError, match="no metric"):
        add("Created", flow=" ")
    with pytest.raises(ValueError, match="no metric"):
        add("service")
    with pytest.raises(ValueError, match="no metric"):
        add("step", step="1")
    add("Latency", 1, "Milliseconds")
    with pytest.raises(ValueError, match="measured in Milliseconds"):
        add("Latency", 1, "Seconds")
    measured.metrics.flush()
    assert [line.values for line in measured.lines()] == [{"Latency": [1]}]


def test_threads_lose_nothing(measured: Measured) -> None:
    def work(_: int) -> None:
        for _ in range(500):
            measured.metrics.add("Done")
            measured.metrics.flush_if_due()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    measured.metrics.flush()
    assert sum(sum(line.values["Done"]) for line in measured.lines()) == 8 * 500


def test_lines_go_to_standard_output_as_it_is_then(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(Clock())
    metrics.add("Created")
    metrics.flush()
    assert [line.values for line in read_emf(capsys.readouterr().out)] == [{"Created": [1]}]


def test_a_stream_that_is_gone_fails_nobody() -> None:
    stream = io.StringIO()
    metrics = Metrics(Clock(), stream)
    metrics.add("Created")
    stream.close()
    metrics.flush()
