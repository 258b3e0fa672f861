"""A plugin of buf and protoc that generates the gRPC half of the Python stubs.

grpcio-tools has that generator only inside its own protoc, and buf's `protoc_builtin` does not know it by name. So this
hands what a plugin gets on to that protoc, as a descriptor set, and returns the files that it writes. It adds py.typed,
without which type checkers do not look at the .pyi files of an installed package.
"""

import pathlib
import sys
import tempfile

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc


def main():
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        descriptors = folder / "descriptors.binpb"
        descriptors.write_bytes(descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString())
        out = folder / "out"
        out.mkdir()
        options = f"{request.parameter}:" if request.parameter else ""
        failed = protoc.main([
            "protoc", f"--descriptor_set_in={descriptors}", f"--grpc_python_out={options}{out}",
            *request.file_to_generate,
        ])
        if failed:
            response.error = "protoc failed, see above"
        for path in sorted(out.rglob("*_pb2_grpc.py")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text(encoding="utf-8"))
        for package in sorted({pathlib.PurePosixPath(name).parent for name in request.file_to_generate}):
            response.file.add(name=str(package / "py.typed"), content="")
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
