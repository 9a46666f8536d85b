"""A template's values, worked out without CloudFormation, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from infra.intrinsics import Scope, TemplateError

NOTHING = {"Ref": "AWS::NoValue"}
SCOPE = Scope(
    {"Name": "sessions", "Key": "", "Many": "a,b"},
    {
        "HasKey": {"Fn::Not": [{"Condition": "NoKey"}]},
        "NoKey": {"Fn::Equals": [{"Ref": "Key"}, ""]},
        "Odd": {"Fn::Or": [{"Condition": "NoKey"}, {"Condition": "HasKey"}]},
    },
)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Name"}, "sessions"),
        ([{"a": {"Ref": "Name"}}, 1, True, None], [{"a": "sessions"}, 1, True, None]),
        ({"Fn::If": ["NoKey", {"Ref": "Name"}, "other"]}, "sessions"),
        ({"a": {"Fn::If": ["HasKey", {"Ref": "Key"}, NOTHING]}, "b": 2}, {"b": 2}),
        ({"a": NOTHING}, {}),
        ([NOTHING, {"Fn::If": ["HasKey", 1, NOTHING]}, 3], [3]),
        ({"Fn::If": ["NoKey", {"Fn::If": ["HasKey", 1, 2]}, 3]}, 2),
        # What is not chosen is not looked at, whatever it takes.
        ({"Fn::If": ["NoKey", 1, {"Fn::Select": [0, {"Ref": "Many"}]}]}, 1),
    ],
)
def test_what_is_known_is_worked_out(value: Any, resolved: Any) -> None:
    assert SCOPE.resolve(value) == resolved


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "AWS::StackName"},
        {"a": [{"Fn::Sub": "${Name}"}]},
        {"Fn::If": ["Missing", 1, 2]},
        {"Fn::If": ["Odd", 1, 2]},
    ],
)
def test_what_is_not_known_is_refused(value: Any) -> None:
    with pytest.raises(TemplateError):
        SCOPE.resolve(value)


def test_conditions_hold_or_do_not() -> None:
    assert (SCOPE.holds("NoKey"), SCOPE.holds("HasKey")) == (True, False)
    assert Scope({"Key": "mine"}, SCOPE.conditions).holds("HasKey")


def test_numbers_are_compared_as_texts_as_cloudformation_does() -> None:
    scope = Scope({"Days": "0"}, {"Never": {"Fn::Equals": [{"Ref": "Days"}, 0]}})
    assert scope.holds("Never")
