"""Op projects: reading `gyoza.yml` and making an OpDefinition of it."""

from __future__ import annotations

from gyoza.project.errors import Problem, ProjectError
from gyoza.project.project_file import FILE_NAME, Project, find_project_file, read_project

__all__ = [
    "FILE_NAME",
    "Problem",
    "Project",
    "ProjectError",
    "find_project_file",
    "read_project",
]
