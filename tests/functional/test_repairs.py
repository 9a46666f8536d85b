"""The embedded engine: transactions that fail leave everything as it was, and none copies much."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from tests.support.engines import Tables
from tests.support.streaming import Stream


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"S#{number}"}, "sk": {"S": "S"}}


def put(tables: Tables, number: int, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": tables.sessions, "Item": {**key(number), **more}}}


def raise_it(tables: Tables, number: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": tables.sessions,
            "Key": key(number),
            "UpdateExpression": "SET v=v+:o, d.a=:o",
            "ExpressionAttributeValues": {":o": {"N": "1"}},
        }
    }


def never(tables: Tables) -> dict[str, Any]:
    return {
        "ConditionCheck": {
            "TableName": tables.records,
            "Key": key(99),
            "ConditionExpression": "attribute_exists(pk)",
        }
    }


def items(tables: Tables) -> list[Any]:
    found = tables.engine.plain.scan(TableName=tables.sessions)["Items"]
    return sorted(found, key=repr)


def test_a_transaction_that_fails_changes_nothing_and_the_stream_goes_on(
    moto_tables: Tables,
) -> None:
    tables, plain = moto_tables, moto_tables.engine.plain
    plain.put_item(TableName=tables.sessions, Item={**key(1), "v": {"N": "1"}, "d": {"M": {}}})
    before = items(tables)
    with Stream(plain, tables.sessions) as stream:
        assert len(stream.read()) == 1
        with pytest.raises(plain.exceptions.TransactionCanceledException):
            plain.transact_write_items(
                TransactItems=[raise_it(tables, 1), put(tables, 2), never(tables)]
            )
        assert items(tables) == before
        assert stream.read() == []
        plain.transact_write_items(TransactItems=[raise_it(tables, 1), put(tables, 2)])
        names = [(raw["eventName"], raw["dynamodb"]["Keys"]) for raw in stream.read()]
        assert names == [("MODIFY", key(1)), ("INSERT", key(2))]
    assert [item.get("v") for item in items(tables)] == [{"N": "2"}, None]


def test_what_else_is_in_a_table_is_not_copied(moto_tables: Tables) -> None:
    tables, plain = moto_tables, moto_tables.engine.plain
    for number in range(500):
        plain.put_item(TableName=tables.sessions, Item=key(number))
    actions = [put(tables, 1_000 + number) for number in range(50)]
    tracemalloc.start()
    try:
        plain.transact_write_items(TransactItems=actions)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 1024 * 1024
