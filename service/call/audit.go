package call

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// auditLog writes one line for each RPC of the service: who did which RPC to which session and resources, with what
// outcome. It is nil where no such lines are wanted. Of the messages it logs ids alone, so no token and no user
// identifier, which may be the name of a person.
type auditLog struct {
	logger  *slog.Logger
	trusted []netip.Prefix
}

// write writes the line, whatever the level of the log is.
func (l *auditLog) write(ctx context.Context, c *Call, failure *seamerr.Error) {
	if l == nil || c.Method.Public || c.Method.Stream || c.Method.doesNotExist() {
		return
	}
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "audit", 0)
	outcome := "failed"
	switch {
	case failure == nil || c.response != nil: // Seam has done it, also where the caller did not read the response.
		outcome = "done"
	case failure.OutcomeUnknown || c.handling: // By a panic, after which nobody knows what Seam has done.
		outcome = "unknown"
	}
	record.AddAttrs(
		slog.String("method", c.Method.FullMethod), slog.String("face", c.Face), slog.String("caller", c.Caller),
		slog.String("peer", clientAddress(c, l.trusted)), slog.String("call_id", c.CallID),
		slog.String("seam_request_id", c.SeamRequestID), slog.String("outcome", outcome),
		slog.String("code", codeOf(failure).String()))
	if c.ServiceCredential {
		record.AddAttrs(slog.String("credential", "service"))
	} else if c.SeamHeader != nil {
		record.AddAttrs(slog.String("credential", "own"))
	}
	if failure != nil {
		record.AddAttrs(slog.String("type", text.Cut(failure.TypeName(), maxTypeBytes)))
	}
	record.AddAttrs(slog.Attr{Key: "request", Value: slog.GroupValue(ids(c.request, true)...)})
	if outcome == "done" {
		// Without lists: a session may have more ids than the log takes in a line, which is then dropped.
		session := ids(sessionOf(c.response), false)
		record.AddAttrs(slog.Attr{Key: "client_session", Value: slog.GroupValue(session...)})
	}
	_ = l.logger.Handler().Handle(ctx, record)
}

// sessionOf returns the session in a response, nil for none or several.
func sessionOf(response proto.Message) proto.Message {
	if response == nil {
		return nil
	}
	field := response.ProtoReflect().Descriptor().Fields().ByName("client_session")
	if field == nil || !response.ProtoReflect().Has(field) {
		return nil
	}
	return response.ProtoReflect().Get(field).Message().Interface()
}

// ids returns the members of a message that are an id or, if lists is true, a list of ids, by their names. A caller may
// have put anything there, so that what looks like a credential is redacted.
func ids(message proto.Message, lists bool) (attributes []slog.Attr) {
	if message == nil {
		return nil
	}
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := string(field.Name())
		switch {
		case strings.HasSuffix(name, "_ids") && lists:
			list := make([]string, value.List().Len())
			for i := range list {
				list[i] = text.Foreign(value.List().Get(i).String())
			}
			attributes = append(attributes, slog.Any(name, list))
		case strings.HasSuffix(name, "_id") && field.Kind() == protoreflect.StringKind:
			attributes = append(attributes, slog.String(name, text.Foreign(value.String())))
		}
		return true
	})
	return attributes
}
