// Command protoimports prints the .proto files that the contract imports from elsewhere.
//
// The contract needs google/api/annotations.proto and buf/validate/validate.proto. Neither is committed here (they
// are other people's text) and no schema registry is asked for them (a build must work without one), but both are
// inside Go modules as descriptors. This program prints those descriptors back as source, so that buf and protoc
// find them under the folder given as the only argument.
package main

import (
	"fmt"
	"os"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protoimports FOLDER")
		os.Exit(2)
	}
	files := []protoreflect.FileDescriptor{
		annotations.File_google_api_annotations_proto,
		annotations.File_google_api_http_proto,
		validate.File_buf_validate_validate_proto,
	}
	printer := protoprint.Printer{SortElements: false}
	if err := printer.PrintProtosToFileSystem(files, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protoimports:", err)
		os.Exit(1)
	}
}
