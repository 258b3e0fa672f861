package main_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// These tests are about the process, its exit code and its output.

func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// listen are the flags of a service that finds free ports and drains at once, with more flags.
func listen(flags ...string) []string {
	return append(servicetest.Listen(), append(flags, "--drain-delay=0s")...)
}

// get makes a request on a connection that is closed afterwards: a kept one would be cut off when the service ends. It
// returns the status.
func get(t *testing.T, url, credential string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// checkHas fails for each text that is not there.
func checkHas(t *testing.T, what, content string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(content, text) {
			t.Errorf("no %q on %s: %s", text, what, content)
		}
	}
}
