"""A message of very many parts is refused before it takes memory; every other is read as it is."""

import numpy as np
import pytest
from google.protobuf.internal.encoder import _VarintBytes as varint
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.oip.message_size import MOST_PARTS, parts_of, require_few_parts
from slipway.serving.protocols.oip.messages import ModelInferRequest, parsed_request

MANY = MOST_PARTS + 1
INSIDE = b"\x22\x00" * MANY
GROUP = b"\x7b\x7c"


@pytest.mark.parametrize(
    "content",
    [
        b"\x2a\x00" * MANY,
        b"\x32\x00" * MANY,
        b"\x3a\x00" * MANY,
        b"\x22\x00" * MANY,
        b"\x2a" + varint(len(INSIDE)) + INSIDE,
        GROUP + b"\x2a\x00" * MANY,
    ],
    ids=["inputs", "outputs", "raw", "parameters", "of a tensor", "behind a group"],
)
def test_many_parts_are_refused(content: bytes):
    """Wherever they are."""
    with pytest.raises(InvalidInput) as caught:
        parsed_request(content)
    assert caught.value.code == "unpacks-too-large"


def test_many_rows_are_few_parts():
    """Raw or typed."""
    message = ModelInferRequest(raw_input_contents=[bytes(2**20)])
    message.inputs.add(name="x", datatype="FP64", shape=[2**17]).contents.fp64_contents.extend(np.zeros(2**17))
    content = message.SerializeToString()
    require_few_parts(content)
    assert parsed_request(content) == message
    assert [number for number, _, _ in parts_of(content, 0, len(content))] == [5, 7]


@given(st.binary(max_size=60))
def test_what_protobuf_reads_is_counted_to_its_end(content: bytes):
    """Nothing that would be read hides behind something that is not counted."""
    try:
        ModelInferRequest.FromString(content)
    except Exception:
        return
    found = list(parts_of(content, 0, len(content)))
    assert (found[-1][2] if found else 0) == len(content)
