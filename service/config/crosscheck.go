package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/clientsession/client-session-service/service/text"
)

// crossCheck returns the violations between settings that are each valid, and clears those that others override. The
// sources of the values are by the names of the settings. A violation never quotes a key.
func crossCheck(c *Config, sources map[string]string) []error {
	if c.Sandbox { // The sandbox must not receive a real key.
		c.SeamAPIKey, c.SeamAPIKeyFile, c.SeamPersonalAccessToken, c.SeamWorkspaceID = "", "", "", ""
	}
	var violations []error
	report := func(name, text string) { violations = append(violations, fmt.Errorf("%s: %s", c.Label(name), text)) }
	if c.DefaultTimeout > c.MaxTimeout && c.MaxTimeout > 0 { // An invalid time is 0.
		if sources["default-timeout"] != "" {
			report("default-timeout", fmt.Sprintf("is longer than --max-timeout, which is %s", c.MaxTimeout))
		}
		c.DefaultTimeout = c.MaxTimeout
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		report("tls-cert-file", "and --tls-key-file go together")
		c.TLSCertFile, c.TLSKeyFile = "", "" // Neither can be checked alone.
	} else if c.TLSClientCAFile != "" && c.TLSCertFile == "" {
		report("tls-client-ca-file", "needs --tls-cert-file and --tls-key-file")
	}
	if c.SeamWorkspaceID != "" && c.SeamPersonalAccessToken == "" {
		report("seam-workspace-id", "is for a personal access token: set SEAM_PERSONAL_ACCESS_TOKEN too, or leave it out")
	}
	if !c.HasServiceCredential() {
		if c.CallersFile != "" && !c.Sandbox {
			report("callers-file", "needs a service credential: set SEAM_API_KEY or --seam-api-key-file too")
		}
		if c.AllowAnonymous && !c.Sandbox {
			report("allow-anonymous", "needs a service credential: set SEAM_API_KEY or --seam-api-key-file too")
		}
		return violations
	}
	var credentials []string
	for name, value := range map[string]string{
		"seam-api-key": c.SeamAPIKey, "seam-api-key-file": c.SeamAPIKeyFile,
		"seam-personal-access-token": c.SeamPersonalAccessToken,
	} {
		if value != "" {
			credentials = append(credentials, c.Label(name))
		}
	}
	slices.Sort(credentials)
	if len(credentials) > 1 {
		violations = append(violations, fmt.Errorf("%s: set only one of them", strings.Join(credentials, " and ")))
	}
	if c.CallersFile != "" && c.AllowAnonymous {
		report("allow-anonymous", "contradicts --callers-file")
	}
	if c.CallersFile == "" && !c.AllowAnonymous && (!loopback(c.GRPCListen) || !loopback(c.HTTPListen)) {
		report("callers-file", "is required: the service has a service credential and listens beyond this machine, so "+
			"any client could use it. Name a callers file, or listen on 127.0.0.1, or set --allow-anonymous")
	}
	if c.PlaintextUpstream() && !c.AllowPlaintextUpstream {
		report("seam-endpoint", "http:// to another machine would send the service credential unencrypted. Use https://, "+
			"or set --allow-plaintext-upstream")
	}
	if slices.Contains(c.CORSOrigins, "*") {
		report("cors-origin", "* would let every origin use the service credential: name the origins")
	}
	return violations
}

// HasServiceCredential reports whether there is a service credential.
func (c Config) HasServiceCredential() bool {
	return c.SeamAPIKey != "" || c.SeamAPIKeyFile != "" || c.SeamPersonalAccessToken != ""
}

// PlaintextUpstream reports whether requests to Seam, and the credentials in them, leave this machine unencrypted.
func (c Config) PlaintextUpstream() bool {
	at := c.SeamEndpoint // It is nil if it is not a URL.
	return !c.Sandbox && at != nil && at.Scheme == "http" && !text.IsLoopback(at.Hostname())
}

// loopback reports whether an address is a loopback address. An invalid one has been reported already.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err != nil || text.IsLoopback(host)
}
