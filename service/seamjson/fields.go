package seamjson

import (
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// object is a message and its Go struct, whose fields are read and written in place: protoreflect allocates for nearly
// every value that it hands in or out, and a response has a dozen. Only the fields of a oneof, which the struct does
// not have, are accessed by protoreflect. No method asks reflect for the address of a field: it would look up the type
// of the pointer in a table. The zero object discards what is set: it stands for a message that the caller does not
// need.
type object struct {
	reflect.Value

	message proto.Message
}

// objectOf returns the object of a message of the codec's.
func objectOf(m proto.Message) object { return object{reflect.ValueOf(m).Elem(), m} }

// structField is the place of a field in the Go struct of its message: its index, -1 if the struct does not have it,
// and its kind or, where it is a pointer, the kind that it points to.
type structField struct {
	index   int
	goKind  reflect.Kind
	pointer bool
}

func structFieldOf(goStruct reflect.Type, descriptor protoreflect.FieldDescriptor) structField {
	for i := range goStruct.NumField() {
		goField := goStruct.Field(i)
		for part := range strings.SplitSeq(goField.Tag.Get("protobuf"), ",") {
			if part != "name="+string(descriptor.Name()) || !goField.IsExported() {
				continue
			}
			if goField.Type.Kind() == reflect.Pointer {
				return structField{i, goField.Type.Elem().Kind(), true}
			}
			return structField{i, goField.Type.Kind(), false}
		}
	}
	return structField{index: -1}
}

// reflection returns the message as protoreflect sees it.
func (o object) reflection() protoreflect.Message { return o.message.ProtoReflect() }

// set sets a field that is no list and no message of the contract.
func (o object) set(f *field, v protoreflect.Value) {
	if !o.IsValid() {
		return
	}
	switch place := o.place(f); {
	case f.goKind == reflect.String && f.pointer:
		place.Set(reflect.ValueOf(new(v.String())))
	case f.goKind == reflect.String:
		place.SetString(v.String())
	case f.goKind == reflect.Bool && f.pointer:
		place.Set(reflect.ValueOf(new(v.Bool())))
	case f.goKind == reflect.Bool:
		place.SetBool(v.Bool())
	case f.goKind == reflect.Int32 && !f.pointer:
		place.SetInt(v.Int())
	case f.goKind == reflect.Struct:
		place.Set(reflect.ValueOf(v.Message().Interface()))
	default:
		o.reflection().Set(f.descriptor, v)
	}
}

// get returns a field that is no list and no message of the contract; has is false if it is unset.
func (o object) get(f *field) (v protoreflect.Value, has bool) {
	place := o.place(f)
	if f.pointer {
		if place.IsNil() {
			return v, false
		}
		has = true
	}
	switch f.goKind {
	case reflect.String:
		text := reflect.Indirect(place).String()
		return protoreflect.ValueOfString(text), has || text != ""
	case reflect.Bool:
		yes := reflect.Indirect(place).Bool()
		return protoreflect.ValueOfBool(yes), has || yes
	case reflect.Struct:
		message, _ := reflect.TypeAssert[proto.Message](place)
		return protoreflect.ValueOfMessage(message.ProtoReflect()), true
	default:
		m := o.reflection()
		return m.Get(f.descriptor), m.Has(f.descriptor)
	}
}

// place returns the field in the struct, the zero Value where only protoreflect can access the field.
func (o object) place(f *field) reflect.Value {
	if f.index < 0 {
		return reflect.Value{}
	}
	return o.Field(f.index)
}

// setNull sets the field that stands for null, and isNull reports whether it is set.
func (o object) setNull(f *field) { o.reflection().Set(f.null, protoreflect.ValueOfBool(true)) }

func (o object) isNull(f *field) bool { return f.null != nil && o.reflection().Has(f.null) }

// list returns the elements of a list. present is false for one in a wrapper message that is unset.
func (o object) list(f *field) (elements []string, present bool) {
	list := o.listPlace(f, false)
	if !list.IsValid() {
		return nil, false
	}
	elements, _ = reflect.TypeAssert[[]string](list)
	return elements, true
}

// appendTo appends elements to a list, and creates the wrapper message of an unset one, also for no elements.
func (o object) appendTo(f *field, elements ...string) {
	list := o.listPlace(f, true)
	for _, element := range elements {
		length := list.Len()
		list.Grow(1)
		list.SetLen(length + 1)
		list.Index(length).SetString(element)
	}
}

// listPlace returns a list, in its wrapper message where it has one. An unset wrapper is created if create is true;
// otherwise listPlace returns the zero Value.
func (o object) listPlace(f *field, create bool) reflect.Value {
	list := o.Field(f.index)
	if f.ids < 0 {
		return list
	}
	if list.IsNil() {
		if !create {
			return reflect.Value{}
		}
		list.Set(reflect.New(list.Type().Elem()))
	}
	return list.Elem().Field(f.ids)
}

// newMessage sets a field that is a message of the contract to an empty one, or adds one to a list of them.
func (o object) newMessage(f *field) object {
	if !o.IsValid() {
		return o
	}
	message, place := reflect.New(f.nested.goStruct), o.Field(f.index)
	if f.list {
		place.Grow(1)
		place.SetLen(place.Len() + 1)
		place = place.Index(place.Len() - 1)
	}
	place.Set(message)
	m, _ := reflect.TypeAssert[proto.Message](message)
	return object{message.Elem(), m}
}

// clear unsets a field.
func (o object) clear(f *field) {
	if o.IsValid() {
		o.Field(f.index).SetZero()
	}
}
