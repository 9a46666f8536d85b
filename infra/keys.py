"""A stage's keys in SSM's Parameter Store, and their rotation in three steps.

``python -m infra.keys --stage dev show``, or ``make keys STAGE=dev DO=show``

=============  ===========================================================================
``create``     makes the keys where there are none
``add``        makes new ones and puts them last: accepted from now on, used by nobody
``promote``    puts the last ones first: used from now on
``drop``       keeps the first ones only; what the others marked and sealed is void
``show``       how many there are, and how old; never the keys themselves
=============  ===========================================================================

Running instances fetch the keys every 5 minutes, so that for a while some have them and
others have not. Whoever adds, waits, and promotes, has no instance that meets what it cannot
read: ``promote`` refuses keys that are younger than 10 minutes. ``drop`` refuses while sessions
that the old keys are needed for may be alive. ``--now`` does both at once: for a leaked key.

How old a key is, is told by the parameter's history; at most its last 100 versions. It holds
dropped keys too, for those who may read it: the functions may not.

The functions need ``ssm:GetParameter`` for it and nothing else: the key that AWS manages for
Parameter Store lets every principal of the account decrypt, through Parameter Store alone (AWS
Systems Manager User Guide, "Restricting decryption of SecureString parameter values").
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.security.keys import MOST, REFRESH, SIZE, InvalidKeys, Keys, generate
from chalicelib.settings import Settings
from infra.stages import StageError, environment_of

REFRESHED = timedelta(minutes=10)
"""After which every running instance has seen a change: two refreshes."""

SSM = "ssm:"
"""How a KEY_SOURCE begins that names a parameter."""

_VOID = "binding to a client (anonymous callers are refused), resume links, lists of own sessions"
_DESCRIPTION = "Stepwell's keys. Changed by `make keys` alone."


class RotationError(Exception):
    """The step cannot be taken, or not yet; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Version:
    """What the parameter held from some time on."""

    number: int
    since: datetime
    keys: Keys


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of Parameter Store.

    Parameters
    ----------
    client
        boto3's, for SSM.
    """

    client: Any
    name: str

    def make(self, text: str) -> bool:
        """Store a first version; False: there is one."""
        try:
            self.client.put_parameter(
                Name=self.name, Value=text, Type="SecureString", Description=_DESCRIPTION
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterAlreadyExists":
                raise
            return False
        return True

    def history(self) -> list[Version]:
        """Give the versions that are known, the oldest first.

        Raises
        ------
        RotationError
            There is no parameter.
        """
        pages = self.client.get_paginator("get_parameter_history").paginate(
            Name=self.name, WithDecryption=True
        )
        try:
            found = [version for page in pages for version in page["Parameters"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise
            raise RotationError(f"{self.name} is not there; create makes it") from error
        versions = [
            Version(each["Version"], each["LastModifiedDate"], Keys.parse(each["Value"]))
            for each in found
        ]
        return sorted(versions, key=lambda version: version.number)

    def replace(self, before: Version, keys: Keys) -> None:
        """Store the version after ``before``.

        Raises
        ------
        RotationError
            Somebody else stored one at the same time; Parameter Store can only tell afterwards.
        """
        answer = self.client.put_parameter(
            Name=self.name, Value=keys.text(), Type="SecureString", Overwrite=True
        )
        if answer["Version"] != before.number + 1:
            raise RotationError(f"{self.name} was changed by two at once: look at it with show")


def parameter_of(stage: str) -> str:
    """Name the parameter that a stage's functions read, from their KEY_SOURCE.

    Raises
    ------
    StageError
        There is no such stage, or its keys are kept elsewhere.
    """
    source = environment_of(stage).get("KEY_SOURCE", "")
    if not source.startswith(SSM):
        raise StageError(f"KEY_SOURCE of stage {stage} names no parameter: ssm:NAME")
    return source.removeprefix(SSM)


def create(parameter: Parameter, random: Callable[[int], bytes] = os.urandom) -> str:
    """Make the keys where there are none; tell what was done.

    Parameters
    ----------
    random
        Gives that many random bytes, fit for secrets.
    """
    made = parameter.make(generate(random))
    return f"Keys {parameter.name}: {'created' if made else 'there already, unchanged'}"


def add(parameter: Parameter, random: Callable[[int], bytes] = os.urandom) -> str:
    """Make new keys that are accepted and not yet used; tell what was done.

    Raises
    ------
    RotationError
        There are as many as there can be.
    """
    latest = parameter.history()[-1]
    if max(len(latest.keys.pepper), len(latest.keys.link)) >= MOST:
        raise RotationError(f"there are {MOST} keys of a kind, and no room for another: drop first")
    parameter.replace(
        latest,
        Keys((*latest.keys.pepper, random(SIZE)), (*latest.keys.link, random(SIZE))),
    )
    minutes = REFRESHED // timedelta(minutes=1)
    return f"Keys {parameter.name}: added. promote can follow in {minutes} minutes"


def promote(parameter: Parameter, now: datetime, *, at_once: bool = False) -> str:
    """Use the keys that were added last; tell what was done.

    Raises
    ------
    RotationError
        There are none; or, unless ``at_once``, they are too young, or were used before.
    """
    versions = parameter.history()
    latest = versions[-1]
    if len(latest.keys.pepper) == len(latest.keys.link) == 1:
        raise RotationError("there is nothing to promote: add first")
    waiting = {latest.keys.pepper[-1], latest.keys.link[-1]}
    if not at_once and waiting & _used(versions):
        raise RotationError("the last keys were in use before; --now goes back to them")
    age = now - max(_known_since(versions, key) for key in waiting)
    if not at_once and age < REFRESHED:
        raise RotationError(
            f"the keys were added {_span(age)} ago, and some instances may not know them yet: "
            f"wait until it is {_span(REFRESHED)}, or say --now"
        )
    parameter.replace(
        latest,
        Keys(_last_first(latest.keys.pepper), _last_first(latest.keys.link)),
    )
    return f"Keys {parameter.name}: the last ones are now the first, and in use"


def drop(parameter: Parameter, now: datetime, lifetime: timedelta, *, at_once: bool = False) -> str:
    """Keep the first keys only; tell what that has made void.

    Parameters
    ----------
    lifetime
        How long a session can live.

    Raises
    ------
    RotationError
        There are no others; or, unless ``at_once``, sessions may be alive that need them.
    """
    versions = parameter.history()
    latest = versions[-1]
    dropped = {*latest.keys.pepper[1:], *latest.keys.link[1:]}
    if not dropped:
        raise RotationError("there is nothing to drop: each kind has one key")
    void = "nothing was made with the others"
    if dropped & _used(versions):
        # Until its next refresh, an instance went on with the key before.
        until = _first_since(versions) + timedelta(milliseconds=REFRESH)
        if now < until + lifetime and not at_once:
            raise RotationError(
                f"sessions from before {_time(until)} may still be alive until "
                f"{_time(until + lifetime)}: dropping voids their {_VOID}. Wait, or say --now"
            )
        void = f"void is what was made before {_time(until)}: {_VOID}"
    parameter.replace(latest, Keys(latest.keys.pepper[:1], latest.keys.link[:1]))
    return f"Keys {parameter.name}: only the first are left; {void}"


def show(parameter: Parameter, now: datetime) -> str:
    """Tell how many keys there are, and how old each is, the one in use first."""
    versions = parameter.history()
    latest = versions[-1]
    lines = [f"Keys {parameter.name}: version {latest.number}, {_span(now - latest.since)} old"]
    for kind, keys in (("pepper", latest.keys.pepper), ("linkKey", latest.keys.link)):
        ages = [_span(now - _known_since(versions, key)) for key in keys]
        used = ", ".join(f"{age}{' (in use)' if n == 0 else ''}" for n, age in enumerate(ages))
        lines.append(f"  {kind:8} {used}")
    return "\n".join(lines)


def _last_first(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (keys[-1], *keys[:-1])


def _used(versions: list[Version]) -> set[bytes]:
    return {key for each in versions for key in (each.keys.pepper[0], each.keys.link[0])}


def _known_since(versions: list[Version], key: bytes) -> datetime:
    return next(each.since for each in versions if key in (*each.keys.pepper, *each.keys.link))


def _first_since(versions: list[Version]) -> datetime:
    """Tell since when the first keys of both kinds are those of today."""
    since = versions[-1].since
    now = versions[-1].keys
    for each in reversed(versions):
        if (each.keys.pepper[0], each.keys.link[0]) != (now.pepper[0], now.link[0]):
            break
        since = each.since
    return since


def _span(time: timedelta) -> str:
    minutes = time // timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{time.days} days"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def main() -> None:
    """Take the step that the command line names."""
    parser = argparse.ArgumentParser(prog="make keys")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--now", action="store_true", help="do not wait for instances or sessions")
    parser.add_argument("step", choices=["show", "create", "add", "promote", "drop"])
    arguments = parser.parse_args()
    try:
        print(_take(arguments.step, arguments.stage, at_once=arguments.now))
    except (StageError, RotationError, InvalidKeys, BotoCoreError, ClientError) as error:
        sys.exit(f"stepwell: {error}")


def _take(step: str, stage: str, *, at_once: bool) -> str:
    environment = environment_of(stage)
    parameter = Parameter(boto3.client("ssm"), parameter_of(stage))
    now = datetime.now(UTC)
    lifetime = Settings.from_environment(environment).session_max_lifetime
    steps: dict[str, Callable[[], str]] = {
        "show": lambda: show(parameter, now),
        "create": lambda: create(parameter),
        "add": lambda: add(parameter),
        "promote": lambda: promote(parameter, now, at_once=at_once),
        "drop": lambda: drop(parameter, now, timedelta(seconds=lifetime), at_once=at_once),
    }
    return steps[step]()


if __name__ == "__main__":
    main()
