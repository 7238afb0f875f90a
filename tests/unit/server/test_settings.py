from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gyoza.server.settings import Settings


def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GYOZA_HOST", raising=False)
    monkeypatch.delenv("GYOZA_PORT", raising=False)

    settings = Settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 5555)
    assert settings.max_body_bytes == 4 * 1024 * 1024


def test_the_environment_speaks_by_the_names_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GYOZA_PORT", "6000")
    monkeypatch.setenv("GYOZA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GYOZA_ALLOWED_HOSTS", "gyoza.lan, box")
    monkeypatch.setenv("GYOZA_API_KEY", "s3cret")

    settings = Settings()

    assert settings.port == 6000
    assert settings.database_path == tmp_path / "gyoza.db"
    assert settings.allowed_hosts == ("gyoza.lan", "box")
    assert "s3cret" not in repr(settings)


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", "")

    assert Settings().api_key is None


def test_an_unknown_log_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="debug, info, warning, error"):
        Settings(log_level="loud")
