"""The database, which is the only truth: schema, migrations, repositories, transactions.

Enter through `store.Store`. No decision about a run is made in here: SQL selects and guards what
`gyoza.models.lifecycle` decided.
"""

from __future__ import annotations
