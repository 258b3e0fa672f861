package server_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
)

func TestMain(m *testing.M) {
	// Tests that say that they are parallel wait and hardly work, so they are run side by side on few cores too.
	_ = flag.Set("test.parallel", "8")
	goleak.VerifyTestMain(m)
}

// harness is a service that runs against a sandbox of its own, and a caller of each face.
type harness struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	seamURL string
	log     *logBuffer
	server  *server.Server
	at      server.Addresses
	conn    *grpc.ClientConn
	http    *http.Client
	stop    func() error
	// droppedLines is how many lines the log is to say that it has dropped.
	droppedLines atomic.Int64
}

// started is the time at which the sandboxes stand still.
var started = time.Now()

// start runs the service until the test ends. change may alter the configuration first.
func start(t *testing.T, change ...func(*config.Config)) *harness {
	t.Helper()
	// One clock for all, so that several sandboxes give the same responses.
	clock := func() time.Time { return started }
	h := &harness{t: t, sandbox: sandbox.New(sandbox.Options{Now: clock}), log: &logBuffer{}}
	cfg := config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		DefaultTimeout:   20 * time.Second,
		MaxTimeout:       20 * time.Second,
		MaxInFlight:      1024,
		DrainTimeout:     20 * time.Second,
		HTTPIdleTimeout:  2 * time.Minute,
		MaxConnectionAge: 5 * time.Minute,
		Version:          "test",
	}
	var client *http.Transport
	h.seamURL, client = server.StartSeam(t, h.sandbox, &cfg)
	for _, f := range change {
		f(&cfg)
	}
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	if cfg.LogLevel != nil {
		options.Level = cfg.LogLevel
	}
	logger := slog.New(slog.NewJSONHandler(h.log, options))
	h.server, h.stop = server.Start(t, cfg, logger)
	h.server.CountDroppedLines(func() float64 { return float64(h.droppedLines.Load()) })
	h.at = h.server.Addresses()
	h.http = &http.Client{
		Transport:     client,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var err error
	h.conn, err = grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.conn.Close()
		h.http.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		if t.Failed() {
			t.Logf("log of the service:\n%s", h.log)
		}
	})
	return h
}

func (h *harness) client() clientsessionv1.ClientSessionServiceClient {
	return clientsessionv1.NewClientSessionServiceClient(h.conn)
}

// end stops the service, so that the log has all lines about its calls.
func (h *harness) end() {
	h.t.Helper()
	if err := h.stop(); err != nil {
		h.t.Error(err)
	}
}

// inject has Seam fail.
func (h *harness) inject(fault sandbox.Fault) {
	h.t.Helper()
	if err := h.sandbox.Inject(fault); err != nil {
		h.t.Fatal(err)
	}
}

// authorized returns a context whose calls carry the sandbox's API key.
func authorized(t *testing.T) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+sandbox.APIKey)
}

// restResponse is what came back over REST.
type restResponse struct {
	status int
	header http.Header
	text   string
	// last is true when the connection is not to be used again.
	last bool
}

// send makes one HTTP request. Headers are pairs; content-type and authorization are set unless given.
func (h *harness) send(method, path, body string, header ...string) restResponse {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.at.HTTP, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	request.URL.Opaque = "" // The path goes out as it is written, with its slashes.
	path, query, _ := strings.Cut(path, "?")
	request.URL.RawQuery = query
	request.URL.RawPath = path
	if request.URL.Path, err = url.PathUnescape(path); err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	for name, value := range pairs(header) {
		if value == "" {
			request.Header.Del(name)
			continue
		}
		request.Header.Set(name, value)
	}
	response, err := h.http.Do(request)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatalf("%s %s: read the response: %v", method, path, err)
	}
	return restResponse{response.StatusCode, response.Header, string(text), response.Close}
}

// grant posts a grant.
func (h *harness) grant(body string, header ...string) restResponse {
	h.t.Helper()
	return h.send(http.MethodPost, "/client_sessions/grant_access", body, header...)
}

// postGrant posts a grant in a context of its own, and returns what went wrong with the connection.
func (h *harness) postGrant(ctx context.Context, body string) error {
	to := "http://" + h.at.HTTP + grantPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := h.http.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// members decodes a response's JSON.
func (a restResponse) members(t *testing.T) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(a.text), &members); err != nil {
		t.Fatalf("response %d %q is not a JSON object: %v", a.status, a.text, err)
	}
	return members
}

// failure returns the `error` member of a response.
func (a restResponse) failure(t *testing.T) map[string]any {
	t.Helper()
	failure, ok := a.members(t)["error"].(map[string]any)
	if !ok {
		t.Fatalf("response %d %q has no error", a.status, a.text)
	}
	return failure
}

// grants returns what the main session of the sandbox has, asked from the sandbox itself.
func (h *harness) grants() string {
	h.t.Helper()
	_, text := h.ask(http.MethodGet, h.seamURL+"/client_sessions/get?client_session_id="+sandbox.SessionID, "",
		"Authorization", "Bearer "+sandbox.APIKey)
	return text
}

// ask makes a request to any listener; header is name and value in turn. It outlives the test's context, since some
// are made when the test ends.
func (h *harness) ask(method, address, body string, header ...string) (int, string) {
	h.t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(h.t.Context()), method, address, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range pairs(header) {
		request.Header.Set(name, value)
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	response, err := h.http.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// pairs walks a list of names and values.
func pairs(list []string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for pair := range slices.Chunk(list, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

func parseURL(t testing.TB, text string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// logBuffer keeps what the service logs.
type logBuffer struct{ server.LogText }

// calls returns the lines about calls.
func (b *logBuffer) calls(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(b.String()) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil {
			t.Fatalf("log line %q is not JSON: %v", line, err)
		}
		if attributes["msg"] == "call" {
			lines = append(lines, attributes)
		}
	}
	return lines
}
