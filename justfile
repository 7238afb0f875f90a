# The daily commands. After scripts/quickstart or scripts/test: `uv run just`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the commands
[private]
default:
    @{{ just_executable() }} --list --unsorted

# Lint, types, import contracts and the tests that need no containers
[group('daily')]
check: lint types arch
    uv run pytest -n 2 -m "not system and not docker"

# Repair what ruff can repair, and format
[group('daily')]
fix:
    uv run ruff check --fix .
    uv run ruff format .

# The tests: arguments go to pytest
[group('daily')]
test *ARGS:
    uv run pytest {{ ARGS }}

# All that CI checks, real containers included
[group('daily')]
all *ARGS:
    scripts/test {{ ARGS }}

# Lint and format, without changing anything
[group('checks')]
lint:
    uv run ruff check .
    uv run ruff format --check .

# Types: strict in src
[group('checks')]
types *ARGS:
    uv run basedpyright {{ ARGS }}

# Import contracts: arrows point down
[group('checks')]
arch:
    uv run lint-imports --no-logo

# Many worlds full of faults in one thread, judged: just simulate --seeds 500, or --seed 7 again
[group('proof')]
simulate *ARGS:
    uv run python -m tests.simulation {{ ARGS }}

# Known bugs, each of which must turn the simulation red
[group('proof')]
mutants *ARGS:
    uv run python -m tests.simulation.mutation {{ ARGS }}

# Real processes and a Docker of their own, killed and frozen at random: just chaos --minutes 5
[group('proof')]
chaos *ARGS:
    uv run python -m tests.chaos {{ ARGS }}

# One measurement from bench/, its ratio or figure last: just bench cold_run
[group('checks')]
bench NAME *ARGS:
    uv run python -m bench.{{ NAME }} {{ ARGS }}

# From nothing to two finished runs; --once stops everything at the end
[group('run')]
quickstart *ARGS:
    scripts/quickstart {{ ARGS }}

# An op's first hour to watch, in a minute: init, dev, edit, run, deploy, run
[group('run')]
tour *ARGS:
    scripts/tour {{ ARGS }}

# Stop what quickstart left running
[group('run')]
stop:
    scripts/stop

# The generated reference pages
[group('release')]
docs:
    uv run python scripts/settings_reference.py > docs/reference/settings.md
    uv run python scripts/cli_reference.py > docs/reference/cli.md
    uv run python scripts/openapi_reference.py > docs/reference/openapi.json
    uv run python scripts/project_schema.py > docs/reference/gyoza.schema.json

# The change log as the next release would have it
[group('release')]
changelog VERSION="next":
    uv run towncrier build --draft --version {{ VERSION }}
