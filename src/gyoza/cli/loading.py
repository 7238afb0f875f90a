"""Verbs as Typer commands, loaded when they are called, each with the global options added."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from gyoza.cli.context import Context, GlobalOptions
from gyoza.cli.verbs import NOUNS, VERBS, Verb

_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_GLOBAL: Final = ("url", "json", "quiet", "no_color", "debug", "timeout")


def _global_options(
    url: Annotated[str | None, typer.Option(metavar="URL", help="Server to talk to.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON with stable keys.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Ids only; no hints.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Wait at most so long.", min=0.001)
    ] = None,
) -> None:
    del url, json, quiet, no_color, debug, timeout


def _global_parameters() -> list[Any]:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(_global_options)
    return typer.main.get_command(app).params


class _Unhurried:
    """Reads a parameter's value as Typer does, and lets it take Pydantic only where it has to.

    Importing that takes longer than all the rest of a verb; absent values and text need none of it.
    """

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        is_many = param.multiple or param.nargs == -1
        if value is None:
            return () if is_many else None
        if isinstance(value, str) and param.type_descriptor.annotation is str:
            return value
        param._runtime_param = None  # noqa: SLF001 - Typer makes its own then
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _unhurried(params: list[Any]) -> list[Any]:
    for param in params:
        if param._runtime_param is None:  # noqa: SLF001 - where Typer keeps what it makes late
            param._runtime_param = _Unhurried()  # noqa: SLF001
    return params


class _Verb(TyperCommand):
    """A command that takes the global options and puts them into the context."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_parameters()]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _help_at_once(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        return _unhurried(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        _take_options(ctx)
        return super().invoke(ctx)


class _Noun(TyperGroup):
    """A group that takes the global options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_parameters()]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _help_at_once(self, ctx, args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        return _unhurried(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        _take_options(ctx)
        return super().invoke(ctx)


class _Commands(MutableMapping[str, Any]):
    """What can follow some words, by name; a verb's module is imported when it is asked for."""

    def __init__(self, words: tuple[str, ...] = ()) -> None:
        self._words = words
        depth = len(words)
        verbs = [verb for verb in VERBS if verb.words[:depth] == words]
        self._verbs = {verb.words[depth]: verb for verb in verbs}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._load(name, self._verbs[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._verbs)

    def __len__(self) -> int:
        return len(self._verbs)

    def _load(self, name: str, verb: Verb) -> Any:
        words = (*self._words, name)
        return load_verb(verb) if words == verb.words else load_noun(words)


def load_noun(words: tuple[str, ...] = ()) -> TyperGroup:
    """Return the group of verbs that begin with these words; () is the whole command."""
    return _Noun(
        name=words[-1] if words else "gyoza",
        commands=_Commands(words),  # pyright: ignore[reportArgumentType] - any mapping does
        help=NOUNS[words[-1]] if words else None,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings=_SETTINGS,
    )


def load_verb(verb: Verb) -> TyperCommand:
    """Import a verb and return it as a command."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name=verb.words[-1], cls=_Verb, context_settings=_SETTINGS)(
        importlib.import_module(verb.module).command
    )
    command = typer.main.get_command(app)
    if not isinstance(command, TyperCommand):
        raise TypeError(f"{verb.module}.command is not one command")
    return command


def context_of(ctx: typer.Context) -> Context:
    """Return the context that `main` made."""
    context: Context = ctx.find_root().obj
    return context


def _help_at_once(command: Any, ctx: Any, args: list[str]) -> None:
    """Show the page of help if it is asked for, before any value is looked at.

    Typer takes Pydantic to look at a value, the word `--help` too, and that takes longer to import
    than all the rest.
    """
    given, _, _ = command.make_parser(ctx).parse_args(args=list(args))
    if given.get("help"):
        typer.echo(ctx.get_help())
        ctx.exit()


def _take_options(ctx: Any) -> None:
    given = {name: ctx.params.pop(name) for name in _GLOBAL}
    context = context_of(ctx)
    context.options = GlobalOptions(**given).over(context.options)
