"""Print what Triton's own client has as messages and calls: `python triton_descriptor.py`, in its environment."""

import json

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from tritonclient.grpc import model_config_pb2, service_pb2

found = []
for each in (service_pb2, model_config_pb2):
    file = FileDescriptorProto()
    each.DESCRIPTOR.CopyToProto(file)
    found.append(file.SerializeToString().hex())
print(json.dumps(found))
