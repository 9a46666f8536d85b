"""moto's CloudFormation, with the termination protection that it only remembers."""

from __future__ import annotations

from functools import wraps
from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

_delete = CloudFormationResponse.delete_stack


def update_termination_protection(self: Any) -> Any:
    """Switch a stack's protection on or off."""
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


@wraps(_delete)
def delete_stack(self: Any) -> Any:
    """Delete a stack, unless it is protected."""
    name = self._get_param("StackName")
    there = {
        key: stack
        for stack in self.cloudformation_backend.stacks.values()
        for key in (stack.name, stack.stack_id)
    }
    if name in there and there[name].enable_termination_protection:
        raise ValidationError(
            message=f"Stack [{name}] cannot be deleted while TerminationProtection is enabled"
        )
    return _delete(self)


REPLACEMENTS = (update_termination_protection, delete_stack)
"""For moto's class of this service."""
