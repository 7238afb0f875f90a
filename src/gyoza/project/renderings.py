"""An `ImagePlan` written down as a Dockerfile: for BuildKit, and for the classic builder.

Both make the same image. BuildKit keeps downloads in cache mounts between builds; the classic
builder has none, so its layers clean up after themselves. Neither needs a frontend image, a network
for gyoza's own part, or pip in the base image.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from gyoza.project.build_source import ADDED
from gyoza.project.dependencies import Dependencies, Source
from gyoza.project.image_plan import USER_ID, ImagePlan

SDK: Final = f"{ADDED}/sdk"
"""Folder of the context that holds `gyoza.op`."""

UV_INSTALLER: Final = f"{ADDED}/install_uv.py"
"""File of the context that brings uv into the image's build stage."""

CODE_DIR: Final = "/op"
_SDK_DIR: Final = "/opt/gyoza"
_VENV: Final = "/opt/venv"
_UV: Final = "/opt/uv"
_PLAIN: Final = re.compile(r"[\w./@:=+~-]+")
_BREAK: Final = " \\\n    "


@dataclass(frozen=True, slots=True)
class _Builder:
    """What differs between the two.

    Attributes:
        name: For the comment at the top.
        keeps_downloads: Whether it has cache mounts.
    """

    name: str
    keeps_downloads: bool

    def mounts(self, *folders: str) -> str:
        """Return the options that keep folders between builds."""
        if not self.keeps_downloads:
            return ""
        # apt must not run twice at once in one folder; uv and pip may.
        return "".join(
            f"--mount=type=cache,target={folder}"
            + (",sharing=locked" if "apt" in folder else "")
            + _BREAK
            for folder in folders
        )


def for_buildkit(plan: ImagePlan) -> str:
    """Return the Dockerfile for BuildKit, with cache mounts."""
    return _render(plan, _Builder("BuildKit", keeps_downloads=True))


def for_classic(plan: ImagePlan) -> str:
    """Return the Dockerfile for the classic builder."""
    return _render(plan, _Builder("the classic builder", keeps_downloads=False))


def _render(plan: ImagePlan, builder: _Builder) -> str:
    has_packages = plan.dependencies.source is not Source.NONE
    parts = [
        _heading(builder),
        _system(plan, builder, name="system" if has_packages else ""),
        *([_dependencies(plan.dependencies, builder), _final_stage()] if has_packages else []),
        _sdk(),
        _code(plan),
        _run(plan),
        _labels(plan),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(builder: _Builder) -> str:
    return (
        f"# Made by `gyoza build` for {builder.name}. The context is the project's folder; what\n"
        f"# {ADDED}/ holds was put beside it by gyoza."
    )


def _system(plan: ImagePlan, builder: _Builder, *, name: str) -> str:
    first = f"FROM {plan.base} AS {name}" if name else f"FROM {plan.base}"
    if not plan.system:
        return first
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
    # The base images of Debian empty apt's cache after every call, cache mount or not.
    keep = "rm -f /etc/apt/apt.conf.d/docker-clean"
    steps = ["apt-get update", f"{install} {' '.join(plan.system)}"]
    if builder.keeps_downloads:
        steps.insert(0, keep)
    else:
        steps.append("rm -rf /var/lib/apt/lists/*")
    mounts = builder.mounts("/var/cache/apt", "/var/lib/apt")
    return f"{first}\nUSER 0:0\nRUN {mounts}{(_BREAK + '&& ').join(steps)}"


def _dependencies(dependencies: Dependencies, builder: _Builder) -> str:
    mounts = builder.mounts("/root/.cache")
    return "\n".join(
        [
            "FROM system AS dependencies",
            "USER 0:0",
            f"COPY {UV_INSTALLER} {_UV}/install_uv.py",
            f"RUN {mounts}python3 {_UV}/install_uv.py {_UV}/packages",
            _uv_settings(builder),
            "WORKDIR /dependencies",
            *_copies(dependencies.files),
            f"RUN {mounts}{(_BREAK + '&& ').join(_install(dependencies))}",
        ]
    )


def _uv_settings(builder: _Builder) -> str:
    settings = {
        "PATH": f"{_UV}/packages/bin:$PATH",
        "UV_PYTHON": "python3",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PROJECT_ENVIRONMENT": _VENV,
        "VIRTUAL_ENV": _VENV,
        "UV_LINK_MODE": "copy",  # the cache is on another file system
        "UV_COMPILE_BYTECODE": "1",
        "UV_SYSTEM_CERTS": "1",  # an organisation's own authority is in the base image
        **({} if builder.keeps_downloads else {"UV_NO_CACHE": "1"}),
    }
    return "ENV " + _BREAK.join(f"{name}={value}" for name, value in settings.items())


def _copies(files: tuple[str, ...]) -> list[str]:
    by_folder: dict[str, list[str]] = {}
    for name in files:
        by_folder.setdefault(str(PurePosixPath(name).parent), []).append(name)
    return [
        _copy(names, "./" if folder in {".", ADDED} else f"./{folder}/")
        for folder, names in by_folder.items()
    ]


def _install(dependencies: Dependencies) -> list[str]:
    main = PurePosixPath(dependencies.files[0]).name
    venv = f"uv venv --quiet --python python3 {_VENV}"
    match dependencies.source:
        case Source.LOCK:
            return [
                venv,
                "uv sync --frozen --no-dev --no-install-project",
            ]
        case Source.SCRIPT_LOCK:
            return [
                venv,
                f"uv export --quiet --frozen --script {_word(main)} --output-file locked.txt",
                "uv pip install --requirements locked.txt",
            ]
        case _:
            return [venv, f"uv pip install --requirements {_word(main)}"]


def _final_stage() -> str:
    return f"FROM system\nCOPY --from=dependencies {_VENV} {_VENV}\nENV PATH={_VENV}/bin:$PATH"


def _sdk() -> str:
    # An op's root is read-only, and a run is short: compile now, valid whatever the files' times.
    compiled = "python3 -m compileall -q --invalidation-mode unchecked-hash"
    return f"USER 0:0\nCOPY {SDK} {_SDK_DIR}\nRUN {compiled} {_SDK_DIR}"


def _code(plan: ImagePlan) -> str:
    files = [name for name in plan.code if name not in plan.folders]
    folders = [name for name in plan.code if name in plan.folders]
    path = [_SDK_DIR, CODE_DIR, *([f"{CODE_DIR}/src"] if "src" in folders else [])]
    # A syntax error shows itself when the spec is derived, with its line.
    compiled = f"python3 -m compileall -q --invalidation-mode unchecked-hash {CODE_DIR} || true"
    return "\n".join(
        [
            f"WORKDIR {CODE_DIR}",
            *([_copy(files, f"{CODE_DIR}/")] if files else []),
            *(_copy([name], f"{CODE_DIR}/{name}") for name in folders),
            f"RUN {compiled}",
            f"ENV PYTHONPATH={':'.join(path)} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
        ]
    )


def _run(plan: ImagePlan) -> str:
    command = json.dumps(["python3", "-m", "gyoza.op", plan.entrypoint])
    return f"USER {USER_ID}:{USER_ID}\nENTRYPOINT {command}"


def _labels(plan: ImagePlan) -> str:
    pairs = [f"{name}={_quoted(value)}" for name, value in plan.labels]
    return f"LABEL {_BREAK.join(pairs)}"


def _copy(names: list[str], target: str) -> str:
    """Return the instruction; as JSON when a name could be read as something else."""
    if all(_PLAIN.fullmatch(name) for name in (*names, target)):
        return f"COPY {' '.join(names)} {target}"
    return f"COPY {json.dumps([*map(_literal, names), target], ensure_ascii=False)}"


def _literal(name: str) -> str:
    # COPY reads names as patterns (Go's filepath.Match) and expands variables in them.
    return re.sub(r"([\\*?\[$])", r"\\\1", name)


def _word(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else "'" + name.replace("'", "'\\''") + "'"


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'
