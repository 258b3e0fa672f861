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

// virtualUsers are clients of all kinds.
type virtualUsers struct {
	tally

	clients *caller
	issued  atomic.Int64

	choosing sync.Mutex // guards random
	random   *rand.Rand
}

// step makes one call, or the calls of the short life of a session.
func (v *virtualUsers) step() {
	v.choosing.Lock()
	kind, face := v.random.IntN(100), []string{faceGRPC, faceREST}[v.random.IntN(2)]
	choice, key := v.random.IntN(4), fmt.Sprintf("soak-%016x", v.random.Uint64())
	wait := v.chooseWait()
	v.choosing.Unlock()
	client := virtualUser{v, face, wait}
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

// wait is how long a client waits, and whether it then abandons the call.
type wait struct {
	time time.Duration
	// abandons is true when the client cancels its call; otherwise it sends the deadline, over gRPC.
	abandons bool
	// early says that the client may not wait long enough for its call to be sent at all.
	early bool
}

// chooseWait chooses one: of a hundred clients two abandon the call after some milliseconds, two set a deadline as
// short as that, and ten have a deadline shorter than the slowest responses of Seam.
func (v *virtualUsers) chooseWait() wait {
	moment := time.Duration(v.random.Int64N(int64(20 * time.Millisecond)))
	switch n := v.random.IntN(100); {
	case n < 2:
		return wait{moment, true, true}
	case n < 4:
		return wait{moment, false, true}
	case n < 14:
		return wait{time: time.Second}
	default:
		return wait{time: 10 * time.Second}
	}
}

// virtualUser is one client.
type virtualUser struct {
	*virtualUsers

	face string
	wait wait
}

func (v virtualUser) get(choice int) {
	in := &clientsessionv1.GetRequest{ClientSessionId: proto.String(sandbox.SessionID)}
	switch choice {
	case 1:
		in = &clientsessionv1.GetRequest{UserIdentifierKey: proto.String(sandbox.UserIdentifierKey)}
	case 2: // No session has that key.
		in = &clientsessionv1.GetRequest{ClientSessionId: new("00000000-0000-4000-8000-000000000000")}
	case 3: // That is no id.
		in = &clientsessionv1.GetRequest{ClientSessionId: new("front door")}
	}
	v.call(rpc{"Get", "/client_sessions/get"}, in, &clientsessionv1.GetResponse{})
}

func (v virtualUser) list(choice int) {
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
func (v virtualUser) session(choice int, key string) {
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

// call makes one call, for as long as the client waits.
func (v virtualUser) call(r rpc, in, out proto.Message) {
	v.issued.Add(1)
	v.measure(record{face: v.face, rpc: r.name, deadline: v.wait.time, early: v.wait.early}, func() reply {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if v.wait.abandons {
			defer time.AfterFunc(v.wait.time, cancel).Stop()
			return v.clients.call(ctx, v.face, r, in, out)
		}
		ctx, forget := context.WithTimeout(ctx, v.wait.time)
		defer forget()
		return v.clients.call(ctx, v.face, r, in, out)
	})
}

// abandons reports whether the client of a call may not have waited for it to be sent.
func abandons(r record) bool { return r.early }
