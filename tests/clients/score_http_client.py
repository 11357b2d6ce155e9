"""Score as a user of Python's http.client does, with its default settings, and write what came as lines of JSON."""

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit


def main(address: str, name: str, files: str) -> None:
    """Send each file to a model, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    for file in files.split(","):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/models/{quote(name)}/invocations", Path(file).read_bytes(), headers)
        response = connection.getresponse()
        print(json.dumps({"status": response.status, "body": json.loads(response.read())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
