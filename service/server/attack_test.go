package server_test

import (
	"bytes"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// attack is one attack on a service with a service credential. Those with a caller's token show that it gains nothing
// beyond the permissions of that caller.
type attack struct {
	name string
	send func(t *testing.T, h *credentialHarness) (outcome, reply string)
	// want is its outcome: "401 unauthorized" over REST, "Unauthenticated" over gRPC, and for bytes on the wire
	// what h.raw and h2.outcome return. Where the outcome is a matter of timing there are several, with | between them.
	want string
	// reached is how many requests reach Seam.
	reached int
}

// TestAttacks tries all of the attacks on one service. After each, calls over both faces must succeed at once, Seam
// must have seen nothing but the service's key, and in the end nothing secret may have come out anywhere.
func TestAttacks(t *testing.T) {
	t.Parallel() // A body that never arrives is cut off after twelve seconds.
	stderr := captureStderr(t)
	h := startWithCredential(t)
	slow := h.slowHeaders(t)
	unread := make(chan string, 1)
	go func() {
		outcome, _ := h.raw(t, post("", "Content-Length: 100000"), 1)
		unread <- outcome
	}()
	h.check(t)
	h.upstream(t)
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			outcome, reply := a.send(t, h)
			if !strings.Contains("|"+a.want+"|", "|"+outcome+"|") {
				t.Errorf("outcome %q, want %q\n%.2000s", outcome, a.want, reply)
			}
			if got := h.upstream(t); got != a.reached {
				t.Errorf("%d requests reached Seam, want %d", got, a.reached)
			}
			if a.reached == 0 || !strings.Contains(reply, `"token":"`+sandbox.SessionToken) {
				h.noSecret(t, "the response", reply)
			} else {
				// The token of the session is what the caller asked for.
				h.noSecret(t, "the response", strings.ReplaceAll(reply, `"token":"`+sandbox.SessionToken, ""))
			}
			h.check(t)
			h.upstream(t)
		})
	}
	for range cap(slow) {
		if took := <-slow; took < 5*time.Second || took > 15*time.Second {
			t.Errorf("a connection with slow headers lasted %s", took)
		}
	}
	if outcome := <-unread; outcome != "401" {
		t.Errorf("the body of an unauthenticated client that never arrives: outcome %q, want 401", outcome)
	}
	h.check(t)
	h.noSecret(t, "/metrics", h.metrics(t))
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	h.noSecret(t, "the log", h.log.String())
	h.noSecret(t, "stderr", stderr())
	h.noSecret(t, "grpc-go's log", grpcLog.String())
}

// noSecret checks that a text has none of the secrets.
func (h *credentialHarness) noSecret(t *testing.T, where, text string) {
	t.Helper()
	parts := strings.Split(h.jobsToken, ".")
	for _, secret := range []string{
		sandbox.APIKey, sandbox.SessionToken, ordersToken, readerToken, sha256Of(ordersToken), sha256Of(readerToken),
		parts[1], parts[2], "seam_secret",
	} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s holds the secret %s: ...%s", where, secret, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

func (h *credentialHarness) metrics(t *testing.T) string {
	t.Helper()
	response, err := h.http.Get("http://" + h.at.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metric returns the value of a series without labels.
func (h *credentialHarness) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(h.metrics(t)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("there is no series %s", name)
	return 0
}

// slowHeaders opens connections that send their headers a byte at a time, and tells how long each lasted. They run
// beside the other attacks, since each lasts as long as the service allows.
func (h *credentialHarness) slowHeaders(t *testing.T) <-chan time.Duration {
	t.Helper()
	const connections = 20
	lasted := make(chan time.Duration, connections)
	for range connections {
		connection := dial(t, h.at.HTTP)
		begin := time.Now()
		go func() {
			defer connection.Close()
			gone := make(chan struct{})
			go func() {
				// What the service says before it closes is of no interest, only when it does.
				_, _ = io.Copy(io.Discard, connection)
				close(gone)
			}()
			drip := time.NewTicker(200 * time.Millisecond)
			defer drip.Stop()
			_, _ = io.WriteString(connection, "POST "+grantPath+" HTTP/1.1\r\nHost: a\r\nX: ")
			for {
				select {
				case <-gone:
					lasted <- time.Since(begin)
					return
				case <-drip.C:
					_, _ = io.WriteString(connection, "a")
				}
			}
		}()
	}
	return lasted
}

// overREST makes a request of the REST face by net/http's client.
func overREST(method, path, body string, headers ...string) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		// Where a row says nothing about it, the caller is orders, not the harness's.
		got := h.send(method, path, body, append([]string{"Authorization", "Bearer " + ordersToken}, headers...)...)
		outcome := fmt.Sprint(got.status)
		if got.status != http.StatusOK && got.text != "" {
			outcome += " " + fmt.Sprint(got.failure(t)["type"])
		}
		return outcome, fmt.Sprint(got.header) + got.text
	}
}

// overGRPC makes a call by grpc-go's client, as orders where the headers do not say otherwise.
func overGRPC(rpc string, message *clientsessionv1.GrantAccessRequest, headers ...string) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		md := metadata.Pairs("authorization", "Bearer "+ordersToken)
		for i := 0; i < len(headers); i += 2 {
			md.Delete(headers[i])
		}
		for i := 0; i < len(headers); i += 2 {
			if headers[i+1] != "" {
				md.Append(headers[i], headers[i+1])
			}
		}
		var header, trailer metadata.MD
		err := h.invoke(metadata.NewOutgoingContext(t.Context(), md), "/seam.clientsession.v1.ClientSessionService/"+rpc,
			message, nil, grpc.Header(&header), grpc.Trailer(&trailer))
		return status.Code(err).String(), fmt.Sprint(status.Convert(err).Proto(), header, trailer)
	}
}

// both tries the same headers on both faces, with a grant that is good.
func both(name, wantREST, wantGRPC string, reached int, headers ...string) []attack {
	return []attack{
		{name + ", REST", overREST(http.MethodPost, grantPath, byID, headers...), wantREST, reached},
		{name + ", gRPC", overGRPC("GrantAccess", grantByID(), headers...), wantGRPC, reached},
	}
}

// bytesOn puts bytes on a connection to the REST face and reads up to most responses.
func bytesOn(payload string, most int) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		return h.raw(t, payload, most)
	}
}

// framesWith makes a call in bare HTTP/2 frames, with the headers of a good one but for the pairs.
func framesWith(pairs ...string) func(*testing.T, *credentialHarness) (string, string) {
	return func(t *testing.T, h *credentialHarness) (string, string) {
		t.Helper()
		return h.frames(t, pairs...)
	}
}

// grpcLog is all that grpc-go says, at its most talkative. It has to be set before any gRPC is used.
var grpcLog = func() *logBuffer {
	b := &logBuffer{}
	grpclog.SetLoggerV2(grpclog.NewLoggerV2WithVerbosity(b, io.Discard, io.Discard, 99))
	return b
}()

// captureStderr keeps what is written to os.Stderr and by the log package until the test ends; the result returns it.
func captureStderr(t *testing.T) func() string {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(&text, reader)
		close(copied)
	}()
	before := os.Stderr
	os.Stderr = writer
	stdlog.SetOutput(writer)
	end := sync.OnceFunc(func() {
		os.Stderr = before
		stdlog.SetOutput(before)
		_ = writer.Close()
		<-copied
		_ = reader.Close()
	})
	t.Cleanup(end)
	return func() string {
		end()
		return text.String()
	}
}
