"""What a deploy changes, as people and programs are told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gyoza.cli.input_files import takes_many_files
from gyoza.cli.output import Output
from gyoza.models import InputSpec, OpDefinition
from gyoza.models.value_types import known_type
from gyoza.project.changes import Change, changed_fields, changes_in_words
from gyoza.project.compatibility import Breaking, breaking_changes


@dataclass(frozen=True, slots=True)
class Plan:
    """From what is registered to what will be.

    Attributes:
        current: The op's current version; None when nobody knows the op.
        new: What is deployed.
        comes_back: Whether the op was archived and takes runs again.
    """

    current: OpDefinition | None
    new: OpDefinition
    comes_back: bool = False

    @property
    def changes(self) -> list[Change]:
        """The differences in words."""
        return changes_in_words(self.current, self.new)

    @property
    def breaking(self) -> list[Breaking]:
        """The differences that break callers."""
        return [] if self.current is None else breaking_changes(self.current, self.new)

    @property
    def changes_anything(self) -> bool:
        """Whether the server will know something that it does not know now."""
        return self.comes_back or bool(changed_fields(self.current, self.new))


def show_plan(plan: Plan, output: Output) -> None:
    """Show what a deploy would do."""
    if output.as_json:
        output.json(_document(plan))
        return
    for line in _lines(plan):
        output.data(line)
    if not plan.changes_anything:
        output.hint("nothing would change")
    elif plan.comes_back:
        output.hint(f"{plan.new.id} is archived: it would take runs again")


def show_deployed(plan: Plan, output: Output) -> None:
    """Show what a deploy has done."""
    op = plan.new
    if output.as_json:
        output.json(op.to_dict())
        return
    if output.quiet:
        output.data(op.id)
        return
    for line in _lines(plan) if plan.current is not None else []:
        output.hint(line)
    output.data(f"{op.id} {op.version} is deployed")
    if plan.breaking and plan.current is not None:
        output.hint(f"undo it: gyoza op rollback {op.id} {plan.current.version}")
    output.hint(_how_to_run(op))


def show_rollback(plan: Plan, output: Output) -> None:
    """Show which version is current now, and what that changes."""
    op, before = plan.new, plan.current
    if output.as_json:
        output.json(op.to_dict())
        return
    if output.quiet:
        output.data(op.version)
        return
    for line in _lines(plan):
        output.hint(line)
    was = "" if before is None or before.version == op.version else f", it was {before.version}"
    output.data(f"{op.id} {op.version} is current{was}")
    output.hint("runs that were submitted keep their version")


def _lines(plan: Plan) -> list[str]:
    broken = [f"! BREAKING {each.place}: {each.text}" for each in plan.breaking]
    return [*(str(change) for change in plan.changes), *broken]


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "op": plan.new.id,
        "from_version": None if plan.current is None else plan.current.version,
        "to_version": plan.new.version,
        "would_change": plan.changes_anything,
        "changes": changed_fields(plan.current, plan.new),
        "breaking": [{"field": each.place, "text": each.text} for each in plan.breaking],
    }


def _how_to_run(op: OpDefinition) -> str:
    needed = {name: spec for name, spec in op.input_specs.specs.items() if spec.required}
    words = "".join(f" -i {name}={_example(spec)}" for name, spec in needed.items())
    return f"run it: gyoza run {op.id}{words}"


def _example(spec: InputSpec) -> str:
    is_file = known_type(spec.type) == "file" or takes_many_files(spec)
    return "@FILE" if is_file else "..."
