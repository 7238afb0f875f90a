"""Print the JSON Schema of gyoza.yml: what docs/reference/gyoza.schema.json has to be."""

from __future__ import annotations

import json
import sys

from gyoza.project.file_schema import file_schema

sys.stdout.write(json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n")
