package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
)

// TestEveryMethodRequiresACredential lists the methods that are served, so that it covers methods that are added later:
// each is on the list of the public ones, or refuses a call without a credential.
func TestEveryMethodRequiresACredential(t *testing.T) {
	h := startWithCredential(t, func(cfg *config.Config) { cfg.Reflection = config.ReflectionOn })
	open := []string{
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	}
	methods := server.Methods(h.server)
	if len(methods) != len(open)+7 {
		t.Errorf("the service has the methods %q", methods)
	}
	for _, method := range methods {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodec(rawCodec{}))
		if err != nil {
			t.Fatal(err)
		}
		// An empty message is one of every type.
		_ = stream.SendMsg([]byte{})
		_ = stream.CloseSend()
		err = stream.RecvMsg(&[]byte{})
		cancel()
		if refused := status.Code(err) == codes.Unauthenticated; refused == slices.Contains(open, method) {
			t.Errorf("%s without a credential: %v", method, err)
		}
	}
	if got := len(h.sandbox.Requests()); got != 0 {
		t.Errorf("%d requests reached Seam", got)
	}
}

// TestServiceCredentialRefused shows what callers learn when Seam refuses the service's key: that the service is not
// set up right, and nothing that would have them look at their own credential. The operator has a metric and a line in
// the log.
func TestServiceCredentialRefused(t *testing.T) {
	h := startWithCredential(t, func(cfg *config.Config) { cfg.SeamAPIKey = "seam_secretrevokedkey" })
	got := h.grant(byID, "Authorization", "Bearer "+ordersToken)
	if got.status != http.StatusInternalServerError || got.failure(t)["message"] != "The service is not set up right" ||
		got.header.Get("WWW-Authenticate") != "" {
		t.Errorf("REST gets %d %v %s", got.status, got.header, got.text)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+ordersToken)
	_, err := h.client().GrantAccess(ctx, grantByID())
	if st := status.Convert(err); st.Code() != codes.Internal || st.Message() != "The service is not set up right" {
		t.Errorf("gRPC gets %v", err)
	}
	// A caller whose own credential is invalid is refused before that, and is not counted.
	if got := h.grant(byID, "Authorization", "Bearer x"); got.status != http.StatusUnauthorized {
		t.Errorf("an unauthenticated client gets %d", got.status)
	}
	h.noSecret(t, "the response", got.text+status.Convert(err).Proto().String())
	for _, text := range []string{got.text, status.Convert(err).Message()} {
		for _, hint := range []string{"API Key", "Unauthorized", "authentication", sandbox.WorkspaceID} {
			if strings.Contains(text, hint) {
				t.Errorf("the response hints at credentials with %q: %s", hint, text)
			}
		}
	}
	if metrics := h.metrics(t); !strings.Contains(metrics, "\nclient_session_service_service_credential_refused_total 2\n") {
		t.Error("the metric does not count 2")
	}
	h.end()
	loud := slices.DeleteFunc(h.log.calls(t), func(line map[string]any) bool { return line["level"] != "ERROR" })
	if len(loud) != 2 || loud[0]["caller"] != "orders" || loud[0]["seam_status"] != 401.0 ||
		loud[0]["cause"] != "the service credential is refused: HTTP status 401, unauthorized" {
		t.Errorf("the errors in the log are %v", loud)
	}
	h.noSecret(t, "the log", h.log.String())
}

// TestAnonymous shows the metric and the warning of a service whose credential unauthenticated clients may use.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"loopback":        {func(cfg *config.Config) { cfg.CallersFile = "" }, "1"},
		"allow anonymous": {func(cfg *config.Config) { cfg.CallersFile, cfg.AllowAnonymous = "", true }, "1"},
		"callers file":    {func(*config.Config) {}, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			h := startWithCredential(t, test.change)
			if metrics := h.metrics(t); !strings.Contains(metrics, "\nclient_session_service_anonymous "+test.want+"\n") {
				t.Errorf("the metric is not %s", test.want)
			}
			wantStatus := http.StatusUnauthorized
			if test.want == "1" {
				wantStatus = http.StatusOK
			}
			if got := h.grant(byID, "Authorization", "", "Seam-Workspace", "x"); got.status != wantStatus {
				t.Errorf("an unauthenticated client gets %d %s", got.status, got.text)
			}
			if wantStatus == http.StatusOK && h.upstream(t) != 1 {
				t.Error("the call did not reach Seam once")
			}
			h.end()
			warned := strings.Contains(h.log.String(), `"level":"WARN","msg":"unauthenticated clients may use the service credential"`)
			if warned != (test.want == "1") {
				t.Errorf("there is a warning: %t", warned)
			}
		})
	}
}

// TestServiceCredentialAtStart shows that a service does not start with a key or a callers file that it cannot use.
func TestServiceCredentialAtStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	callers := write("callers", `callers: [{name: a, token_sha256: [`+sha256Of("x")+`], rpcs: ["*"]}]`)
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"good":                         {func(cfg *config.Config) { cfg.SeamAPIKeyFile = write("key", "seam_secret\n") }, ""},
		"good access token":            {func(cfg *config.Config) { cfg.SeamPersonalAccessToken, cfg.SeamWorkspaceID = "seam_at1_secret", "w" }, ""},
		"key of another kind":          {func(cfg *config.Config) { cfg.SeamAPIKey = "seam_cst1_secret" }, "the key begins with seam_cst"},
		"file of another kind":         {func(cfg *config.Config) { cfg.SeamAPIKeyFile = write("cst", "seam_cst1_secret") }, "--seam-api-key-file: "},
		"no key file":                  {func(cfg *config.Config) { cfg.SeamAPIKeyFile = filepath.Join(folder, "none") }, "--seam-api-key-file: "},
		"access token of no workspace": {func(cfg *config.Config) { cfg.SeamPersonalAccessToken = "seam_at1_secret" }, "SEAM_WORKSPACE_ID: "},
		"no callers file": {func(cfg *config.Config) {
			cfg.SeamAPIKey, cfg.CallersFile = "seam_secret", filepath.Join(folder, "none")
		}, "--callers-file: "},
		"names without authorities": {func(cfg *config.Config) {
			cfg.SeamAPIKey, cfg.CallersFile = "seam_secret", write("names", `callers: [{name: a, dns_name: a.example, rpcs: ["*"]}]`)
		}, "--callers-file: FOLDER/names: callers[0] \"a\": dns_name: needs --tls-client-ca-file"},
		"callers file that the sandbox does not use": {func(cfg *config.Config) {
			cfg.Sandbox, cfg.SandboxListen, cfg.CallersFile = true, "127.0.0.1:0", write("bad", "callers: [{name: a}]")
		}, "--callers-file: FOLDER/bad: callers[0]"},
		"callers file with faults": {func(cfg *config.Config) {
			cfg.SeamAPIKey, cfg.CallersFile = "seam_secret", write("bad", "callers: [{name: a}]")
		}, "--callers-file: FOLDER/bad: callers[0] \"a\": rpcs: name the RPCs that it may call, or \"*\"\n--callers-file: FOLDER/bad: callers[0] \"a\": needs "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Config{
				GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
				SeamEndpoint: parseURL(t, "https://127.0.0.1:1"), CallersFile: callers,
				DrainTimeout: time.Second,
			}
			test.change(&cfg)
			log := &logBuffer{}
			s, err := server.New(cfg, slog.New(slog.NewJSONHandler(log, nil)))
			if err == nil {
				// A service that runs closes its listeners when its context ends.
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				_ = s.Run(ended)
			}
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), strings.ReplaceAll(test.want, "FOLDER", folder))) {
				t.Errorf("error is %v, want %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") || strings.Contains(log.String(), "secret") {
				t.Errorf("a key is quoted: %v %s", err, log)
			}
		})
	}
}
