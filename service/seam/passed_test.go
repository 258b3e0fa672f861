package seam

import (
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestPassedHeaders shows which headers of Seam's response a caller gets too, with a success and with an error. A
// success has its Retry-After among them, in whole seconds; the error has that by itself.
func TestPassedHeaders(t *testing.T) {
	const opaque = "opaque-credential"
	grant := Call{
		Endpoint: GrantAccess(), CallerRetries: true, Header: http.Header{"Authorization": {"Bearer " + opaque}},
	}
	long := func(value string) string { return strings.Repeat(value, maxPassedBytes/len(value)/2) }
	for name, test := range map[string]struct{ sent, want http.Header }{
		"none": {nil, nil},
		"rate limits": {
			http.Header{"Ratelimit": {"q;r=1"}, "RateLimit-Policy": {"q;q=9", "p;q=1"}, "X-RateLimit-Limit-Minute": {"9"}},
			http.Header{"ratelimit": {"q;r=1"}, "ratelimit-policy": {"q;q=9", "p;q=1"}, "x-ratelimit-limit-minute": {"9"}},
		},
		"an end of life": {
			http.Header{"Deprecation": {"@1"}, "Sunset": {"Sat, 31 Dec 2027 23:59:59 GMT"}, "Link": {"</d>; rel=sunset"}},
			http.Header{"deprecation": {"@1"}, "sunset": {"Sat, 31 Dec 2027 23:59:59 GMT"}, "link": {"</d>; rel=sunset"}},
		},
		"any other":           {http.Header{"Set-Cookie": {"a=b"}, "X-Ratelimited": {"1"}, "Linked": {"1"}}, nil},
		"no name of metadata": {http.Header{"Ratelimit-A!": {"1"}, "Ratelimit-X-Bin": {"1"}}, nil},
		"not printable":       {http.Header{"Link": {"caf\xc3\xa9", "a\tb", "<a>"}}, http.Header{"link": {"<a>"}}},
		"a credential":        {http.Header{"Link": {"<" + opaque + ">", "<a?t=seam_cst1abc>"}}, nil},
		"too long": {
			http.Header{"Link": {long("l"), long("l"), long("l")}, "Sunset": {"s"}},
			http.Header{"link": {long("l")}, "sunset": {"s"}},
		},
	} {
		for body, status := range map[string]int{seamtest.Success: 200, `{"ok":false}`: 200, `{}`: 400} {
			for after, wait := range map[string]string{"": "", "1.5": "2", "soon": "", "7200": "3600"} {
				respond := func(w http.ResponseWriter, _ *http.Request) {
					maps.Copy(w.Header(), test.sent)
					w.Header().Set("Retry-After", after)
					w.WriteHeader(status)
					_, _ = w.Write([]byte(body))
				}
				want := maps.Clone(test.want)
				if body == seamtest.Success && wait != "" {
					want = http.Header{"retry-after": {wait}}
					maps.Copy(want, test.want)
				}
				for _, over := range []string{overHTTP1, overHTTP2} {
					inBubbleOver(t, over, respond, func(t *testing.T, b *bubble) {
						response, _, _ := send(t.Context(), b.Client, grant)
						if got := http.Header(response.Header); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
							t.Errorf("%s with %d %s over %s, Retry-After %q: %v, want %v", name, status, body, over, after, got, want)
						}
					})
				}
			}
		}
	}
}

// TestHeaderOfConnection shows that a header is not passed on that HTTP/1.1 says is for the connection.
func TestHeaderOfConnection(t *testing.T) {
	respond := responding(200, seamtest.Success, "Connection", "sunset, link", "Link", "<a>", "Deprecation", "@1")
	inBubbleOver(t, overHTTP1, respond, func(t *testing.T, b *bubble) {
		response, _, err := once(t.Context(), b.Client)
		if want := map[string][]string{"deprecation": {"@1"}}; err != nil || !reflect.DeepEqual(response.Header, want) {
			t.Errorf("got %v, %v, want %v", response.Header, err, want)
		}
	})
}
