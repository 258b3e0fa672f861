//go:build soak

package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// visitors are clients of all kinds.
type visitors struct {
	tally

	clients *caller
	issued  atomic.Int64

	choosing sync.Mutex // guards random
	random   *rand.Rand
}

// visit makes one call, or the calls of the short life of a session.
func (v *visitors) visit() {
	v.choosing.Lock()
	kind, face := v.random.IntN(100), []string{faceGRPC, faceREST}[v.random.IntN(2)]
	choice, key := v.random.IntN(4), fmt.Sprintf("soak-%016x", v.random.Uint64())
	patience := v.patience()
	v.choosing.Unlock()
	client := visitor{v, face, patience}
	switch {
	case kind < 45:
		client.call(grantAccess(), grant(), &clientsessionv1.GrantAccessResponse{})
	case kind < 70:
		client.get(choice)
	case kind < 85:
		client.list(choice)
	default:
		client.session(choice, key)
	}
}

// patience is how long a client waits, and whether it then leaves.
type patience struct {
	time time.Duration
	// leaves says that the client cancels its call; otherwise the service is told of the deadline, where the face can.
	leaves bool
	// early says that the client may not wait long enough for its call to be sent at all.
	early bool
}

// patience chooses one: of a hundred clients two leave after some milliseconds, two set a deadline as short as that,
// and ten have a deadline shorter than the slowest responses of Seam.
func (v *visitors) patience() patience {
	moment := time.Duration(v.random.Int64N(int64(20 * time.Millisecond)))
	switch n := v.random.IntN(100); {
	case n < 2:
		return patience{moment, true, true}
	case n < 4:
		return patience{moment, false, true}
	case n < 14:
		return patience{time: time.Second}
	default:
		return patience{time: 10 * time.Second}
	}
}

// visitor is one client.
type visitor struct {
	*visitors

	face     string
	patience patience
}

func (v visitor) get(choice int) {
	in := &clientsessionv1.GetRequest{ClientSessionId: proto.String(sandbox.SessionID)}
	switch choice {
	case 1:
		in = &clientsessionv1.GetRequest{UserIdentifierKey: proto.String(sandbox.UserIdentifierKey)}
	case 2: // Nobody has that one.
		in = &clientsessionv1.GetRequest{ClientSessionId: new("00000000-0000-4000-8000-000000000000")}
	case 3: // That is no id.
		in = &clientsessionv1.GetRequest{ClientSessionId: new("front door")}
	}
	v.call(rpc{"Get", "/client_sessions/get"}, in, &clientsessionv1.GetResponse{})
}

func (v visitor) list(choice int) {
	in := &clientsessionv1.ListRequest{}
	switch choice {
	case 1:
		in.UserIdentifierKey = proto.String(sandbox.UserIdentifierKey)
	case 2:
		in.ConnectWebview = &clientsessionv1.ListRequest_ConnectWebviewId{ConnectWebviewId: sandbox.ConnectWebviewID}
	case 3:
		in.ClientSessionId = proto.String(sandbox.SessionID)
	}
	v.call(rpc{"List", "/client_sessions/list"}, in, &clientsessionv1.ListResponse{})
}

// session makes a session of its own and deletes it, so that Seam's data do not grow.
func (v visitor) session(choice int, key string) {
	var made interface {
		proto.Message
		GetClientSession() *clientsessionv1.ClientSession
	}
	if choice < 2 {
		made = &clientsessionv1.CreateResponse{}
		in := &clientsessionv1.CreateRequest{UserIdentifierKey: &key}
		v.call(rpc{"Create", "/client_sessions/create"}, in, made)
	} else {
		made = &clientsessionv1.GetOrCreateResponse{}
		in := &clientsessionv1.GetOrCreateRequest{UserIdentifierKey: &key}
		v.call(rpc{"GetOrCreate", "/client_sessions/get_or_create"}, in, made)
	}
	id := made.GetClientSession().GetClientSessionId()
	if id == "" {
		return // If Seam has made it all the same, the next reset takes it away.
	}
	if choice%2 == 0 {
		in := &clientsessionv1.RevokeRequest{ClientSessionId: &id}
		v.call(rpc{"Revoke", "/client_sessions/revoke"}, in, &clientsessionv1.RevokeResponse{})
	}
	in := &clientsessionv1.DeleteRequest{ClientSessionId: &id}
	v.call(rpc{"Delete", "/client_sessions/delete"}, in, &clientsessionv1.DeleteResponse{})
}

// call makes one call, for as long as the client has patience.
func (v visitor) call(r rpc, in, out proto.Message) {
	v.issued.Add(1)
	v.measure(record{face: v.face, rpc: r.name, deadline: v.patience.time, early: v.patience.early}, func() answer {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if v.patience.leaves {
			defer time.AfterFunc(v.patience.time, cancel).Stop()
			return v.clients.call(ctx, v.face, r, in, out)
		}
		ctx, forget := context.WithTimeout(ctx, v.patience.time)
		defer forget()
		return v.clients.call(ctx, v.face, r, in, out)
	})
}

// leaver says whether the client of a call may not have waited for it to be sent.
func leaver(r record) bool { return r.early }
