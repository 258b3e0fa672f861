package main_test

import (
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestRunningConfiguration shows that the admin listener tells the configuration that is in force, with the source of
// each value and without secrets, and that the line that says ready summarizes it.
func TestRunningConfiguration(t *testing.T) {
	command := servicetest.Command(t, listen("--max-timeout=10s", "--allow-anonymous", "--log-level=Info")...)
	command.Env = append(command.Env, "SEAM_API_KEY="+sandbox.APIKey, "REFLECTION=off", "LOG_FORMAT=")
	service := servicetest.Start(t, command)
	service.AwaitReady()
	printed := service.Get("/config")
	for _, want := range []string{
		"\nmax-timeout: 10s # flag\n", "\ndefault-timeout: 10s # default\n", "\nreflection: off # environment REFLECTION\n",
		"\nlog-format: json # default\n", "\nlog-level: info # flag\n", "\nseam-api-key: (redacted) # environment SEAM_API_KEY\n",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() || strings.Contains(printed, sandbox.APIKey) {
		t.Error(printed)
	}
	for _, want := range []string{
		`"version":"` + servicetest.Version + `"`, `"service_credential":true`, `"callers":0`, `"traces":false`,
	} {
		if !strings.Contains(service.Log(), want) {
			t.Errorf("the log has no %s: %s", want, service.Log())
		}
	}
}
