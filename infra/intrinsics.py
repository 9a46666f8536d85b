"""A template's values where CloudFormation is not at hand: references and conditions worked out.

Only what the tables need: ``Ref`` to a parameter, ``Fn::If``, and conditions of ``Fn::Equals``
and ``Fn::Not``. Whatever else is met is an error, so that nothing is understood by half. What
nobody asks for is not looked at: the rest of a template may use all that CloudFormation has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_NO_VALUE: Final = "AWS::NoValue"


class TemplateError(Exception):
    """The template says something that this reader would have to ignore."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the values of a template depend on.

    Parameters
    ----------
    parameters
        Their values, by name.
    conditions
        As the template has them.
    """

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """Give ``value`` as CloudFormation would; what is ``AWS::NoValue`` is left out.

        Raises
        ------
        TemplateError
            It takes an intrinsic that is not known here, or a parameter without a value.
        """
        if isinstance(value, list):
            return [self.resolve(each) for each in value if not self._is_nothing(each)]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return self._parameter(value["Ref"])
        if set(value) == {"Fn::If"}:
            return self.resolve(self._chosen(value))
        if intrinsics := [key for key in value if str(key).startswith("Fn::")]:
            raise TemplateError(f"the template uses {intrinsics[0]} in a table")
        return {
            key: self.resolve(each) for key, each in value.items() if not self._is_nothing(each)
        }

    def holds(self, condition: str) -> bool:
        """Tell whether a condition of the template holds.

        Raises
        ------
        TemplateError
            There is none of that name, or it takes a function that is not known here.
        """
        if condition not in self.conditions:
            raise TemplateError(f"the template has no condition {condition}")
        return self._true(self.conditions[condition])

    def _true(self, condition: Any) -> bool:
        match condition:
            case {"Condition": str(name)}:
                return self.holds(name)
            case {"Fn::Not": [inner]}:
                return not self._true(inner)
            case {"Fn::Equals": [one, other]}:
                return str(self.resolve(one)) == str(self.resolve(other))
            case _:
                raise TemplateError(f"the template has a condition {condition}, not known here")

    def _chosen(self, choice: Mapping[str, Any]) -> Any:
        condition, yes, no = choice["Fn::If"]
        return yes if self.holds(condition) else no

    def _is_nothing(self, value: Any) -> bool:
        if isinstance(value, dict) and set(value) == {"Fn::If"}:
            return self._is_nothing(self._chosen(value))
        return bool(value == {"Ref": _NO_VALUE})

    def _parameter(self, name: str) -> str:
        if name not in self.parameters:
            raise TemplateError(f"the template refers to {name}, which has no value here")
        return self.parameters[name]
