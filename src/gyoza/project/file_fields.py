"""Every field of `gyoza.yml` and of a script's block: how it is read, and what an editor knows.

The tables are the one place: the reader takes its readers from them, `file_schema` makes the
published JSON Schema of them. What a field means is the models' business. Sizes and durations have
two names each: as people write them (`ram: 2GB`), and as the models keep them (`ram_mb: 2048`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, cast

from gyoza.models import (
    Constraints,
    EventDelivery,
    Execution,
    InputSpec,
    InputSpecs,
    OutputSpec,
    OutputSpecs,
    RetryPolicy,
)
from gyoza.models.fields import (
    FieldProblem,
    InvalidFields,
    Reader,
    Unexpected,
    anything,
    flag,
    list_of,
    mapping,
    number,
    optional,
    read_fields,
    read_named,
    text,
    text_mapping,
    whole,
)
from gyoza.op import quantities
from gyoza.project.build_settings import (
    ENTRYPOINT_PATTERN,
    IMAGE_PATTERN,
    PACKAGE_PATTERN,
    PYTHON_PATTERN,
    BuildSettings,
    entrypoint,
    image,
    packages,
    python,
)
from gyoza.project.field_readers import OP_ID_SCHEMA, filled, op_id

Schema: TypeAlias = "dict[str, Any]"

_TEXT: Final[Schema] = {"type": "string"}
_FILLED: Final[Schema] = {"type": "string", "pattern": r"\S"}
_ANY_SIZE: Final[Schema] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {
            "type": "string",
            "pattern": r"^(?=[^1-9]*[1-9])\s*\d+(\.\d+)?\s*([bB]|[kKmMgGtT][iI]?[bB])?\s*$",
        },
    ]
}
_ANY_TIME: Final[Schema] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {
            "type": "string",
            "pattern": r"^(?=[^1-9]*[1-9])\s*(\d+(\.\d+)?|(\d+(\.\d+)?\s*(ms|[smhd])\s*)+)\s*$",
        },
    ]
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        read: Takes its raw value.
        schema: What it takes, for an editor; a reader may be stricter, never laxer.
        means: For people, in an editor.
        stands_for: The field of the models that it says in another way; "" for none.
    """

    read: Reader
    schema: Schema
    means: str
    stands_for: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together, and what they become.

    Attributes:
        what: How an error names the whole.
        fields: By their names.
        build: Makes the value of the fields that were given.
        required: Those that must be there.
    """

    what: str
    fields: Mapping[str, Field]
    build: Callable[[dict[str, Any]], Any] = field(default=lambda values: values)
    required: tuple[str, ...] = ()

    def read(self, value: object) -> Any:
        """Read a raw section.

        Raises:
            InvalidFields: With every problem; two names of one thing are one.
        """
        readers = {name: each.read for name, each in self.fields.items()}
        values = read_fields(self.what, value, readers, required=self.required)
        twice = [
            FieldProblem((name,), f"says the same as {plain}; keep one of the two")
            for name, plain in self.pairs()
            if name in values and plain in values
        ]
        if twice:
            raise InvalidFields(self.what, twice)
        return self.build({self.fields[n].stands_for or n: each for n, each in values.items()})

    def pairs(self) -> list[tuple[str, str]]:
        """Return the names that stand for another one, with that one."""
        return [(name, each.stands_for) for name, each in self.fields.items() if each.stands_for]


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _whole(least: int, means: str, *, may_be_null: bool = False) -> Field:
    schema: Schema = {"type": "integer", "minimum": least}
    if may_be_null:
        return Field(optional(whole(least)), _or_null(schema), means)
    return Field(whole(least), schema, means)


def _number(least: float, means: str, most: float | None = None) -> Field:
    schema: Schema = {"type": "number", "minimum": least}
    if most is not None:
        return Field(number(least, most), {**schema, "maximum": most}, means)
    return Field(optional(number(least)), _or_null(schema), means)


def _size(stands_for: str, least_mb: int, means: str) -> Field:
    def read(value: object) -> int:
        try:
            amount = quantities.megabytes(_plain(value))
        except ValueError:
            raise Unexpected("a size such as 512MiB or 8GB") from None
        if amount < least_mb:
            raise Unexpected(f"a size of at least {least_mb}MiB")
        return amount

    return Field(optional(read), _or_null(_ANY_SIZE), means, stands_for)


def _time(stands_for: str, means: str, *, unit_s: float = 1, most_s: float | None = None) -> Field:
    def read(value: object) -> float:
        try:
            length = quantities.seconds(_plain(value))
        except ValueError:
            raise Unexpected("a duration such as 90s, 10m or 1h30m") from None
        if most_s is not None and length > most_s:
            raise Unexpected(f"a duration of at most {most_s:g}s")
        amount = length / unit_s
        return int(amount) if amount == int(amount) else amount

    return Field(read, _ANY_TIME, means, stands_for)


def _limit(stands_for: str, means: str) -> Field:
    plain = _time(stands_for, means)
    return Field(optional(plain.read), _or_null(plain.schema), means, stands_for)


def _plain(value: object) -> str | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise ValueError(value)


def _spec(kind: type[InputSpec | OutputSpec], section: Section, value: object) -> Any:
    if isinstance(value, str):
        return kind(filled(value))
    if isinstance(value, dict):
        return section.read(cast("dict[str, Any]", value))
    raise Unexpected(f"a type name, or an object with {', '.join(section.fields)}")


def _input_of(values: dict[str, Any]) -> InputSpec:
    # Who writes a default means that the input may be left out.
    implied: dict[str, Any] = {"required": False} if values.get("default") is not None else {}
    return InputSpec(**{**implied, **values})


_DESCRIPTION: Final = Field(text, _TEXT, "For people.")
_SCHEMA: Final = Field(
    optional(mapping), _or_null({"type": "object"}), "JSON Schema that values have to keep."
)
_TYPE: Final = Field(
    filled,
    {**_FILLED, "examples": ["string", "integer", "float", "boolean", "object", "array", "file"]},
    "Name of a type; a name that gyoza does not know takes any value.",
)
INPUT: Final = Section(
    "input spec",
    {
        "type": _TYPE,
        "required": Field(flag, {"type": "boolean"}, "Whether the input must be given."),
        "default": Field(anything, {}, "Taken when it is not given; it need not be then."),
        "description": _DESCRIPTION,
        "schema": _SCHEMA,
    },
    _input_of,
    required=("type",),
)
OUTPUT: Final = Section(
    "output spec",
    {"type": _TYPE, "description": _DESCRIPTION, "schema": _SCHEMA},
    lambda values: OutputSpec(**values),
    required=("type",),
)
CONSTRAINTS: Final = Section(
    "constraints",
    {
        "cpu": _whole(1, "CPUs; null takes the server's default.", may_be_null=True),
        "ram": _size("ram_mb", 6, "RAM, such as 2GB; null takes the server's default."),
        "ram_mb": _whole(6, "RAM in MiB; `ram` says it with a unit.", may_be_null=True),
        "vram": _size("vram_mb", 1, "Memory of one GPU, such as 8GB; null needs no GPU."),
        "vram_mb": _whole(0, "Memory of one GPU in MiB.", may_be_null=True),
    },
    lambda values: Constraints(**values),
)
RETRY: Final = Section(
    "retry policy",
    {
        "max_attempts": _whole(1, "Attempts in all, the first included."),
        "backoff": _time("backoff_ms", "Pause before the second attempt.", unit_s=0.001),
        "backoff_ms": _whole(0, "The same in milliseconds; it doubles with each attempt."),
    },
    RetryPolicy.from_dict,
)
EVENTS: Final = Section(
    "event delivery",
    {
        "topic": Field(text, _TEXT, "Where events are published; empty is the sink's default."),
        "attributes": Field(mapping, {"type": "object"}, "Attached to each event."),
    },
    lambda values: EventDelivery(**values),
)
_LIMITS: Final = {
    "queue": "Waiting for a worker",
    "pull": "Getting the image",
    "pull_idle": "Getting the image without progress",
    "run": "The container's own time",
    "total": "From submission to the end, all attempts together",
}
TIMEOUTS: Final = Section(
    "timeouts",
    {f"{name}_s": _number(0, f"{means}, in seconds.") for name, means in _LIMITS.items()},
)


def _execution_of(values: dict[str, Any]) -> Execution:
    timeouts = dict(values.pop("timeouts", {}))
    for name in _LIMITS:
        if f"{name}_s" in values:
            timeouts[f"{name}_s"] = values.pop(f"{name}_s")
    return Execution.from_dict({**values, **({"timeouts": timeouts} if timeouts else {})})


EXECUTION: Final = Section(
    "execution",
    {
        "command": Field(
            optional(list_of(text)),
            _or_null({"type": "array", "items": _TEXT}),
            "Replaces the image's command.",
        ),
        **{
            f"{name}_timeout": _limit(f"{name}_s", f"{means}, such as 10m; null is no limit.")
            for name, means in _LIMITS.items()
        },
        "timeouts": Field(TIMEOUTS.read, {}, "The same limits in seconds."),
        "grace": _time("grace_s", "Between SIGTERM and SIGKILL, up to 2m.", most_s=120),
        "grace_s": _number(0, "The same in seconds, 0 to 120.", 120),
        "network": Field(flag, {"type": "boolean"}, "Whether the op reaches the network."),
        "disk": _size("disk_mb", 1, "What the op may write to its outputs, such as 10GB."),
        "disk_mb": _whole(1, "The same in MiB."),
        "preemptible": Field(
            flag, {"type": "boolean"}, "Whether much more urgent runs may stop it; it begins anew."
        ),
        "selectors": Field(
            text_mapping,
            {"type": "object", "additionalProperties": _TEXT},
            "What worker tags must be: a100, !=eu, in a,b, not in a,b, >=16, * or !.",
        ),
        "concurrency": Field(
            optional(mapping),
            _or_null({"type": "object"}),
            "A key, such as camera-{camera_id}, and how many of its runs may work at once (limit).",
        ),
        "warm": Field(
            optional(mapping), _or_null({"type": "object"}), "How it stays up between runs."
        ),
    },
    _execution_of,
)


def _read_execution(value: object) -> Execution:
    raw = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    limits: Any = raw.get("timeouts")
    given = cast("dict[str, Any]", limits) if isinstance(limits, dict) else {}
    twice = [
        FieldProblem((f"{name}_timeout",), f"says the same as timeouts.{name}_s; keep one")
        for name in _LIMITS
        if f"{name}_timeout" in raw and f"{name}_s" in given
    ]
    if twice:
        raise InvalidFields("execution", twice)
    return EXECUTION.read(cast("Any", value))


BUILD: Final = Section(
    "build",
    {
        "base": Field(image, {"type": "string", "pattern": IMAGE_PATTERN}, "Image to build on."),
        "python": Field(
            python,
            {"type": "string", "pattern": PYTHON_PATTERN},
            'Python version in quotes, such as "3.12".',
        ),
        "system": Field(
            packages,
            {"type": "array", "items": {"type": "string", "pattern": PACKAGE_PATTERN}},
            "Debian packages.",
        ),
    },
    lambda values: BuildSettings(**values),
)
PROJECT: Final = Section(
    "gyoza.yml",
    {
        "id": Field(op_id, OP_ID_SCHEMA, "Name of the op."),
        "version": Field(
            filled, {"anyOf": [_FILLED, {"type": "number"}]}, "A registered one never changes."
        ),
        "image": Field(filled, _FILLED, "Name of its image; default ID:VERSION, built here."),
        "description": _DESCRIPTION,
        "inputs": Field(
            lambda value: InputSpecs(
                read_named("inputs", value, lambda each: _spec(InputSpec, INPUT, each))
            ),
            {},
            "What the op takes, by name; left out, the code says it.",
        ),
        "outputs": Field(
            lambda value: OutputSpecs(
                read_named("outputs", value, lambda each: _spec(OutputSpec, OUTPUT, each))
            ),
            {},
            "What the op gives back, by name; left out, the code says it.",
        ),
        "constraints": Field(CONSTRAINTS.read, {}, "What a run needs."),
        "retry": Field(RETRY.read, {}, "Whether a failed run is tried again."),
        "events": Field(EVENTS.read, {}, "Where a run's events go."),
        "execution": Field(_read_execution, {}, "How containers are started and bounded."),
        "entrypoint": Field(
            entrypoint,
            {"type": "string", "pattern": ENTRYPOINT_PATTERN},
            "What the image runs, as module:function; default the one that @op decorates.",
        ),
        "build": Field(BUILD.read, {}, "How the image is made."),
    },
    required=("id", "version"),
)
"""The whole file."""

SCRIPT: Final = replace(PROJECT, what="tool.gyoza", required=())
"""The table of a script's block, which may leave id and version out."""

NESTED: Final[Mapping[str, Section]] = {
    "constraints": CONSTRAINTS,
    "retry": RETRY,
    "events": EVENTS,
    "execution": EXECUTION,
    "timeouts": TIMEOUTS,
    "build": BUILD,
}
"""Fields that are sections."""

NAMED: Final[Mapping[str, Section]] = {"inputs": INPUT, "outputs": OUTPUT}
"""Fields whose members the author names, each a type name or a section."""
