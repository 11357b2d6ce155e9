"""Score as a user of requests does, with its default settings, and write what came as lines of JSON."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import requests


def main(address: str, name: str, files: str) -> None:
    """Send each file to a model."""
    with requests.Session() as session:
        for file in files.split(","):
            url = f"{address}/models/{quote(name, safe='')}/invocations"
            response = session.post(url, data=Path(file).read_bytes(), headers={"Content-Type": "application/json"})
            print(json.dumps({"status": response.status_code, "body": response.json()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
