package seamjson

import (
	"encoding/json"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// maxAdditionalBytes bounds the members of one session that the contract does not know, and maxAdditionalDepth how
	// deep they nest: protobuf in other languages reads no more than 100 levels of messages, of which each level of JSON
	// is two.
	maxAdditionalBytes, maxAdditionalDepth = 64 << 10, 32
)

// additionalMembers are the members of an object that the contract does not know.
type additionalMembers struct {
	fields map[string]*structpb.Value
	bytes  int
}

// add adds a member, if it can be said in a google.protobuf.Struct. What cannot is not worth a response.
func (a *additionalMembers) add(name string, text []byte) {
	a.bytes += len(name) + len(text)
	if a.bytes > maxAdditionalBytes {
		return
	}
	var read any
	if json.Unmarshal(text, &read) != nil || depth(read) > maxAdditionalDepth {
		return
	}
	value, err := structpb.NewValue(read)
	if err != nil {
		return
	}
	if a.fields == nil {
		a.fields = map[string]*structpb.Value{}
	}
	a.fields[name] = value
}

// set puts the members into the field of the message for them.
func (a *additionalMembers) set(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	if len(a.fields) > 0 {
		m.Set(field, protoreflect.ValueOfMessage((&structpb.Struct{Fields: a.fields}).ProtoReflect()))
	}
}

func depth(value any) int {
	deepest := 0
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			deepest = max(deepest, depth(member))
		}
	case []any:
		for _, element := range value {
			deepest = max(deepest, depth(element))
		}
	default:
		return 0
	}
	return deepest + 1
}
