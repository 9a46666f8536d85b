"""What a stage keeps when it is undeployed: how much of it there is, and how it is removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import keys
from infra.account import Account
from infra.stacks.obstacles import describe_table, existing_log_groups, table_names
from infra.stages import StageError, environment_of

_MISSING_QUEUE: Final = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_PAUSE_SECONDS: Final = 3.0
_TRIES: Final = 200


@dataclass(frozen=True, slots=True)
class Data:
    """A stage's tables, archived events, log groups, dead letters and keys.

    Parameters
    ----------
    pause
        Waits that many seconds before a table that is being removed is looked at again.
    """

    account: Account
    stage: str
    pause: Callable[[float], object] = time.sleep

    def inventory(self) -> Iterator[str]:
        """Tell what there is, a line for each."""
        client = self.account.client("dynamodb")
        for name in table_names(self.stage):
            if (table := describe_table(client, name)) is not None:
                # DynamoDB counts every six hours or so.
                yield f"table {name}: {table['ItemCount']} items, as of some hours ago"
        for url in self._queues():
            name = url.rpartition("/")[2]
            yield f"queue {name}: {self._waiting(url)} dead letters"
        if (events := self.archived()) is not None:
            yield f"archive {self._archive}: {events} events"
        for name in existing_log_groups(self.account.client("logs"), self.stage):
            yield f"log group {name}"
        if (parameter := self._parameter()) is not None and self._has_keys(parameter):
            yield f"keys {parameter}: resume links and owners' marks are void without them"

    def archived(self) -> int | None:
        """Tell how many events are kept to be replayed; None: there is no archive."""
        try:
            archive = self.account.client("events").describe_archive(ArchiveName=self._archive)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        return int(archive["EventCount"])

    def check(self) -> None:
        """Complain of what keeps the data from being removed, before anything is.

        Raises
        ------
        StageError
            A table has copies in other regions.
        """
        client = self.account.client("dynamodb")
        for name in table_names(self.stage):
            table = describe_table(client, name) or {}
            copies = {each["RegionName"] for each in table.get("Replicas", [])}
            if elsewhere := copies - {self.account.region}:
                region = min(elsewhere)
                updates = json.dumps([{"Delete": {"RegionName": region}}])
                raise StageError(
                    f"table {name} has copies in {', '.join(sorted(elsewhere))}. Remove them, one "
                    "region at a time: first the protection there, aws dynamodb update-table "
                    f"--region {region} --table-name {name} --no-deletion-protection-enabled; when "
                    "it is ACTIVE again, the copy, from here: aws dynamodb update-table "
                    f"--table-name {name} --replica-updates '{updates}'"
                )

    def unprotect(self) -> None:
        """Let the tables be deleted."""
        client = self.account.client("dynamodb")
        for name in table_names(self.stage):
            self._unprotect(client, name)

    def clear(self, held: Collection[str]) -> Iterator[str]:
        """Remove the tables of a stack that never came to be, which nobody has written to.

        Their protection would keep the stack from going, and the records table is retained.

        Parameters
        ----------
        held
            Names of what the stack has made.

        Raises
        ------
        StageError
            Somebody has written to one.
        """
        client = self.account.client("dynamodb")
        names = [name for name in table_names(self.stage) if name in held]
        there = [name for name in names if describe_table(client, name) is not None]
        for name in there:
            self._settled(client, name)
            if client.scan(TableName=name, Limit=1, ConsistentRead=True)["Items"]:
                raise StageError(f"table {name} is of a stack that never came to be, and has items")
        for name in there:
            self._unprotect(client, name)
            client.delete_table(TableName=name)
            self._settled(client, name)
            yield f"Table {name}: removed, it is empty"

    def remove(self) -> Iterator[str]:
        """Remove what the stack has left behind; tell of each, once it is gone.

        Raises
        ------
        StageError
            A table does not go.
        """
        client = self.account.client("dynamodb")
        for name in table_names(self.stage):
            if describe_table(client, name) is not None:
                client.delete_table(TableName=name)
                self._settled(client, name)
                yield f"Table {name}: removed"
        if self.archived() is not None:
            self.account.client("events").delete_archive(ArchiveName=self._archive)
            yield f"Archive {self._archive}: removed"
        queues = self.account.client("sqs")
        for url in self._queues():
            queues.delete_queue(QueueUrl=url)
            yield f"Queue {url.rpartition('/')[2]}: removed"
        logs = self.account.client("logs")
        for name in existing_log_groups(logs, self.stage):
            logs.delete_log_group(logGroupName=name)
            yield f"Log group {name}: removed"
        if (parameter := self._parameter()) is not None and self._has_keys(parameter):
            self.account.client("ssm").delete_parameter(Name=parameter)
            yield f"Keys {parameter}: removed"

    def _unprotect(self, client: Any, name: str) -> None:
        table = describe_table(client, name) or {}
        if table.get("DeletionProtectionEnabled"):
            client.update_table(TableName=name, DeletionProtectionEnabled=False)
            self._settled(client, name)

    @property
    def _archive(self) -> str:
        return f"stepwell-{self.stage}"

    def _settled(self, client: Any, name: str) -> None:
        """Wait until a table is as it should be, or gone."""
        for _ in range(_TRIES):
            table = describe_table(client, name)
            if table is None or table["TableStatus"] == "ACTIVE":
                return
            self.pause(_PAUSE_SECONDS)
        raise StageError(f"table {name} is still being changed: do it again later")

    def _queues(self) -> list[str]:
        """Give the URLs of the queues that are there."""
        client, found = self.account.client("sqs"), []
        for name in (f"stepwell-{self.stage}-dead-letters", f"stepwell-{self.stage}-failed-sweeps"):
            try:
                found.append(str(client.get_queue_url(QueueName=name)["QueueUrl"]))
            except ClientError as error:
                if error.response["Error"]["Code"] not in _MISSING_QUEUE:
                    raise
        return found

    def _waiting(self, url: str) -> int:
        attributes = self.account.client("sqs").get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(map(int, attributes.values()))

    def _parameter(self) -> str | None:
        source = environment_of(self.stage).get("KEY_SOURCE", "")
        return source.removeprefix(keys.SSM) if source.startswith(keys.SSM) else None

    def _has_keys(self, parameter: str) -> bool:
        try:
            self.account.client("ssm").get_parameter(Name=parameter)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            return False
        return True
