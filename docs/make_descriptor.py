"""Write what `open_inference.proto` says as its descriptor: `make proto`; a test compares it.

The messages are made of the descriptor when a worker begins, in a pool of their own. Generated code would put them into
the one pool of the process, where Triton's client, which a model may well use, has messages of the same names.
"""

import base64
import tempfile
import textwrap
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

PLACE = Path(__file__).parent.parent / "serving" / "protocols" / "oip"
SOURCE, WRITTEN = PLACE / "open_inference.proto", PLACE / "descriptor.py"
HEAD = '''"""What `open_inference.proto` says, as a FileDescriptorProto; written by `make proto`."""

import base64

DESCRIPTOR = base64.b64decode(
    """
{}
"""
)
'''


def written() -> str:
    """Return the module that holds the descriptor."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "descriptor"
        words = ("protoc", f"--proto_path={PLACE}", f"--descriptor_set_out={found}", SOURCE.name)
        if protoc.main(words):
            raise SystemExit(f"{SOURCE} cannot be read")
        (file,) = FileDescriptorSet.FromString(found.read_bytes()).file
        lines = textwrap.wrap(base64.b64encode(file.SerializeToString()).decode(), 100)
    return HEAD.format("\n".join(lines))


if __name__ == "__main__":
    WRITTEN.write_text(written())
