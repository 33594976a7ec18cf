"""dlt's ``rest_api`` source into DuckDB, for ``correctness_vs_dlt.py``; runs in a Python of its own."""

from __future__ import annotations

import json
import os
import sys

import dlt
import duckdb
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Run the pipeline once and print the table: id, status, agent."""
    url, token, folder, lag, first_day = sys.argv[1:]
    os.environ |= {"RUNTIME__LOG_LEVEL": "ERROR", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    params: dict[str, object] = {"per_page": 100, "date_from": first_day}
    if float(lag) >= 0:
        # The vendor filters by day; dlt itself drops rows that are older than the cursor. A cursor that begins with a
        # day alone would count its look-back in days.
        params["date_from"] = {
            "type": "incremental",
            "cursor_path": "created_at",
            "initial_value": f"{first_day}T00:00:00Z",
            "lag": float(lag) or None,
            "convert": lambda moment: moment[:10],
        }
    endpoint: dict[str, object] = {"path": "calls", "params": params, "data_selector": "data"}
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/api/v1/",
                "auth": {"type": "bearer", "token": token},
                "paginator": {
                    "type": "page_number",
                    "base_page": 1,
                    "page_param": "page",
                    "total_path": "pagination.last_page",
                },
            },
            "resources": [{"name": "calls", "primary_key": "id", "write_disposition": "merge", "endpoint": endpoint}],
        }
    )
    database = f"{folder}/dlt.duckdb"
    pipeline = dlt.pipeline(
        "calls", destination=dlt.destinations.duckdb(database), dataset_name="voice", pipelines_dir=folder
    )
    pipeline.run(source)
    with duckdb.connect(database) as connection:
        rows = connection.execute("SELECT id, status, agent__id FROM voice.calls").fetchall()
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
