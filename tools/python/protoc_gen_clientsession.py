"""A plugin of buf and protoc that generates the modules of gen/python/src/clientsession/v1.

The generators put the modules into the package that the contract names, seam.clientsession.v1. Seam's own SDK is the
package `seam` as well, and where the two are not in one folder, one shadows the other. So this plugin runs the generators
and renames the package in what they write. The names on the wire, and in protobuf's registry, stay as they are.
"""

import pathlib
import sys
import tempfile

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc

CONTRACT, PACKAGE = "seam.clientsession.v1", "clientsession.v1"


def main():
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    with tempfile.TemporaryDirectory() as name:
        descriptors, out = pathlib.Path(name, "descriptors.binpb"), pathlib.Path(name, "out")
        descriptors.write_bytes(descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString())
        out.mkdir()
        scripts = pathlib.Path(sys.executable).parent
        if protoc.main([
            "protoc", f"--descriptor_set_in={descriptors}", f"--python_out={out}", f"--grpc_python_out={out}",
            # The types, with the contract's comments. What protoc itself writes has no comments, and nothing for the
            # gRPC half.
            *(f"--plugin={scripts / plugin}" for plugin in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")),
            f"--mypy_out=quiet:{out}", f"--mypy_grpc_out=quiet:{out}", *request.file_to_generate,
        ]):
            sys.exit("protoc failed")
        folder = out / CONTRACT.replace(".", "/")
        response.file.add(name="__init__.py")
        for path in sorted(folder.iterdir()):
            content = path.read_text(encoding="utf-8")
            # The imports, and the name of the module, which is in the class of each message for pickle.
            for before in "from ", "(DESCRIPTOR, '":
                content = content.replace(before + CONTRACT, before + PACKAGE)
            response.file.add(name=path.name, content=content)
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
