package rest_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// spellings are spellings of the path of an RPC, and whether they are the path. Envoy in deploy/envoy has to tell the
// same: TestEnvoyPaths.
func spellings() map[string]bool {
	return map[string]bool{
		"/client_sessions/RPC":                true,
		"//client_sessions/RPC":               true, // Some clients join URLs so. Never a redirect.
		"////client_sessions/RPC":             true,
		"/client_sessions/RPC?":               true,
		"//client_sessions/RPC?a=/b":          true,
		"/client_sessions//RPC":               false,
		"/client_sessions%2FRPC":              false,
		"/client_sessions/RPC/":               false,
		"/client_sessions/RPC/?":              false,
		"/client_sessions/RPC:":               false,
		"/client_sessions/RPC:RPC":            false,
		"/client_sessions/RPC;a=b":            false,
		"/client_sessions/RPC%3F":             false,
		"/client_sessions/RPC%20":             false,
		"/client_sessions/RPCs":               false,
		"/client_sessions/x?/RPC":             false,
		"/?/client_sessions/RPC":              false,
		"/./client_sessions/RPC":              false,
		"/x/../client_sessions/RPC":           false,
		"/x/client_sessions/RPC":              false,
		"/CLIENT_SESSIONS/RPC":                false,
		"/%2Fclient_sessions/RPC":             false,
		"/%63lient_sessions/RPC":              false,
		"//evil.example//client_sessions/RPC": false,
	}
}

// TestPaths shows which spellings of a path are the path.
func TestPaths(t *testing.T) {
	h := start(t)
	for spelling, isPath := range spellings() {
		for _, rpc := range []string{"create", "get_or_create", "get", "list", "grant_access", "revoke", "delete"} {
			path := strings.ReplaceAll(spelling, "RPC", rpc)
			got := h.send(http.MethodPost, path, "{}")
			if notFound := got.failure(t)["type"] == "not_found"; notFound == isPath || got.status >= 500 {
				t.Errorf("%s gets %d %s", path, got.status, got.text)
			}
		}
	}
}

// TestPathsAreNotLogged shows that the log quotes no path with a secret in it.
func TestPathsAreNotLogged(t *testing.T) {
	h := start(t)
	secrets := []string{sandbox.APIKey, sandbox.SessionToken}
	for _, secret := range secrets {
		for _, path := range []string{"/" + secret + "/a", "/client_sessions/" + secret} {
			if got := h.send(http.MethodPost, path, byID); got.status != http.StatusNotFound {
				t.Errorf("%s gets %d %s", path, got.status, got.text)
			}
		}
	}
	h.stop()
	for _, secret := range secrets {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds the secret %s out of a path", secret)
		}
	}
}

// envoyListener is what the configuration of Envoy says of the paths of a listener.
type envoyListener struct {
	Name         string
	FilterChains []struct {
		Filters []struct {
			TypedConfig struct {
				// These would change the path before Envoy matches it, and what the service gets.
				MergeSlashes  bool `yaml:"merge_slashes"`
				NormalizePath bool `yaml:"normalize_path"`
				LocalReply    struct {
					Mappers []struct {
						Status int `yaml:"status_code"`
						Filter struct {
							And struct {
								Filters []struct {
									Header struct {
										Header struct {
											Name        string
											StringMatch envoyMatch `yaml:"string_match"`
										}
									} `yaml:"header_filter"`
								}
							} `yaml:"and_filter"`
						}
					}
				} `yaml:"local_reply_config"`
				Routes struct {
					VirtualHosts []struct {
						Routes []struct {
							Match envoyMatch
							Route struct {
								Retries struct {
									On string `yaml:"retry_on"`
								} `yaml:"retry_policy"`
							}
						}
					} `yaml:"virtual_hosts"`
				} `yaml:"route_config"`
			} `yaml:"typed_config"`
		}
	} `yaml:"filter_chains"`
}

// envoyMatch is a match of Envoy: a whole regular expression of RE2, as in Go.
type envoyMatch struct {
	SafeRegex struct{ Regex string } `yaml:"safe_regex"`
}

func (m envoyMatch) matches(text string) bool {
	return m.SafeRegex.Regex != "" && regexp.MustCompile(`^(?:`+m.SafeRegex.Regex+`)$`).MatchString(text)
}

// TestEnvoyPaths shows that Envoy, as deploy/envoy configures it, knows the RPC of a call over REST by the spellings
// that the service accepts, and by no others. When Envoy loses a replica, a call that may be sent twice is sent again,
// and a write that may have been applied is a 424. `make test-fleet` shows that Envoy reads the file so.
func TestEnvoyPaths(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/envoy/envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Static struct{ Listeners []envoyListener } `yaml:"static_resources"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	rest := file.Static.Listeners[1].FilterChains[0].Filters[0].TypedConfig
	if rest.MergeSlashes || rest.NormalizePath {
		t.Error("Envoy changes the path")
	}
	isUnknown := func(target string) bool {
		for _, mapper := range rest.LocalReply.Mappers {
			for _, filter := range mapper.Filter.And.Filters {
				if h := filter.Header.Header; h.Name == ":path" && h.StringMatch.matches(target) {
					return mapper.Status == http.StatusFailedDependency
				}
			}
		}
		return false
	}
	isRetried := func(path string) bool {
		for _, route := range rest.Routes.VirtualHosts[0].Routes {
			if route.Match.matches(path) {
				return strings.HasSuffix(route.Route.Retries.On, ",reset")
			}
		}
		return false
	}
	for spelling, isPath := range spellings() {
		for rpc, want := range map[string]struct{ retried, unknown bool }{
			"create": {unknown: true}, "get_or_create": {unknown: true}, "get": {retried: true}, "list": {retried: true},
			"grant_access": {retried: true}, "revoke": {retried: true}, "delete": {},
		} {
			target := strings.ReplaceAll(spelling, "RPC", rpc)
			// Envoy matches a route without the query, and a header as it is.
			path, _, _ := strings.Cut(target, "?")
			if got := isRetried(path); got != (want.retried && isPath) {
				t.Errorf("%s is sent again: %t", target, got)
			}
			if got := isUnknown(target); got != (want.unknown && isPath) {
				t.Errorf("%s is a 424: %t", target, got)
			}
		}
	}
}
