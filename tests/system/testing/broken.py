"""Images that break one rule of the protocol each, and which finding is to name it.

Every script but for its fault is the sound one: it reads its input, checks it, tells of progress,
heeds SIGTERM and renames its output into place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SPEC: Final[dict[str, Any]] = {
    "input_specs": {"text": {"type": "string", "required": True}},
    "output_specs": {"length": {"type": "integer"}},
    "constraints": {"cpu": 1, "ram_mb": 32},
    "execution": {"grace_s": 2},
}

HEAD: Final = """
out=$GYOZA_DIR/out
trap 'exit 143' TERM
if ! grep -q '"text":' $GYOZA_DIR/in/input.json; then
  echo '{"type": "BadInput", "message": "text is missing"}' > $out/error.json
  exit 65
fi
length=$(wc -c < $GYOZA_DIR/in/input.json)
echo '{"type": "progress", "msg": 50}' >> $out/events.jsonl
sleep 1 & wait $!
"""
TAIL: Final = """
echo "{\\"length\\": $length}" > $out/part
mv $out/part $out/output.json
"""
SOUND: Final = HEAD + TAIL


@dataclass(frozen=True)
class Broken:
    """One image.

    Attributes:
        name: Of the case.
        script: What it runs.
        check: The finding that is to name the fault.
        words: What that finding is to say, somewhere.
        status: Of the finding.
        spec: Its label; None leaves it out.
    """

    name: str
    script: str
    check: str
    words: str
    status: str = "fail"
    spec: dict[str, Any] | None = field(default_factory=lambda: SPEC)


CASES: Final = (
    Broken("unlabelled", SOUND, "declaration", "no label", spec=None),
    Broken(
        "needs-root",
        "[ $(id -u) = 0 ] || { echo 'must be root' >&2; exit 1; }" + SOUND,
        "start",
        "as root, where root can write, it completes",
    ),
    Broken(
        "blind",
        "out=$GYOZA_DIR/out; length=3; trap 'exit 143' TERM; sleep 1 & wait $!" + TAIL,
        "inputs",
        "without opening the file",
    ),
    Broken("crashes", HEAD + "echo 'no such model' >&2; exit 3", "completion", "no such model"),
    Broken("prints", HEAD + 'echo "{\\"length\\": $length}"', "output", "on standard output"),
    Broken("no-json", HEAD + "echo length=3 > $out/output.json", "output", "output.json"),
    Broken(
        "too-large",
        HEAD
        + """
        { printf '{"length": "'; yes x | tr -d '\\n' | head -c 1100000; echo '"}'; } > $out/part
        mv $out/part $out/output.json""",
        "output-size",
        "at most 1048576 bytes",
    ),
    Broken(
        "wrong-type",
        HEAD + """echo '{"length": "three"}' > $out/part; mv $out/part $out/output.json""",
        "output-types",
        "expected a whole number",
    ),
    Broken(
        "in-place",
        HEAD + """echo '{"length": 3}' > $out/output.json""",
        "output-rename",
        "written in its place",
        status="warn",
    ),
    Broken("links", HEAD + "mkdir $out/files; ln -s /etc $out/files/link" + TAIL, "files", "link"),
    Broken(
        "backwards",
        HEAD + """echo '{"type": "progress", "msg": 20}' >> $out/events.jsonl""" + TAIL,
        "events",
        "from 50 to 20",
    ),
    Broken(
        "self-completing",
        HEAD + """echo '{"type": "completed"}' >> $out/events.jsonl""" + TAIL,
        "events",
        "cannot emit type 'completed'",
    ),
    Broken("takes-anything", HEAD.replace("exit 65", "length=0") + TAIL, "bad-input", "65"),
    Broken(
        "no-reason",
        SOUND.replace('echo \'{"type": "BadInput"', 'true \'{"type": "BadInput"').replace(
            "' > $out/error.json", "'"
        ),
        "bad-input",
        "without a reason",
    ),
    Broken(
        "deaf",
        HEAD.replace("trap 'exit 143' TERM", "trap '' TERM")
        + "i=0; while [ $i -lt 60 ]; do sleep 0.1; i=$((i+1)); done"
        + TAIL,
        "stop",
        "had to be killed",
    ),
    Broken(
        "greedy",
        HEAD + "dd if=/dev/zero of=/dev/null bs=64M count=1 || exit 1" + TAIL,
        "memory",
        "killed it for memory",
    ),
    Broken("writes-beside", HEAD + "echo x > /opt/cache || exit 4" + TAIL, "writes", "/opt/cache"),
    Broken(
        "writes-as-root",
        HEAD + "echo x > /var/cache || exit 4" + TAIL,
        "writes",
        "/var/cache added",
    ),
    Broken(
        "leaves-zombies",
        # The shell's place is taken by a program that does not wait for the shell's child.
        SOUND + "sleep 0.2 & exec sleep 2",
        "processes",
        "sleep",
    ),
)
