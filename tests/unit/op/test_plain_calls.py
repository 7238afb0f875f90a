"""Outside of a container an op is the function that it was, and needs no files."""

from __future__ import annotations

import inspect

import pytest

from gyoza.op import Context, File, cancelled, log, metric, op, progress


def test_a_decorated_function_is_the_same_function() -> None:
    def double(x: int) -> int:
        return 2 * x

    assert op(double) is double
    assert op(cpu=1)(double)(4) == 8


def test_a_context_is_filled_in_when_nobody_passes_one() -> None:
    @op
    def run_id(x: int, context: Context) -> str:
        return f"{context.run_id}/{context.attempt}/{x}"

    assert run_id(3) == "/1/3"  # type: ignore[call-arg]
    assert run_id(3, Context(run_id="run_a", attempt=2)) == "run_a/2/3"


def test_a_class_keeps_its_methods() -> None:
    @op
    class Model:
        def setup(self) -> None:
            self.offset = 1

        def run(self, x: int, context: Context) -> int:
            return x + self.offset + context.attempt

    model = Model()
    model.setup()

    assert model.run(1) == 3  # type: ignore[call-arg]


def test_async_functions_and_generators_stay_what_they_are() -> None:
    @op
    async def later() -> int:
        return 1

    @op
    def stream() -> object:
        yield 1

    assert inspect.iscoroutinefunction(later)
    assert list(stream()) == [1]  # type: ignore[call-overload]


def test_words_to_a_run_that_is_none_cost_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress(0.5, "half")
    metric("loss", float("nan"), step=1)
    log.info("done", tiles=3, event=True)

    assert not cancelled()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("done", [40, -0.1, float("nan")])
def test_progress_is_a_fraction(done: float) -> None:
    with pytest.raises(ValueError, match="expected a fraction from 0 to 1"):
        progress(done)


def test_progress_of_a_total_needs_a_total() -> None:
    with pytest.raises(ValueError, match="expected a number above 0"):
        progress(1, total=0)


def test_a_temporary_folder_is_made_when_asked_for() -> None:
    context = Context()

    assert context.temp.is_dir()
    assert context.temp == context.temp


def test_a_file_is_a_path_with_a_media_type() -> None:
    file = File("/in/scene.png")

    assert (file.name, file.media_type) == ("scene.png", "image/png")
    assert File("x.dat", media_type="image/tiff").media_type == "image/tiff"
    assert File("/in/x") != File("/in/y")
