package config

import (
	"errors"
	"net"
	"net/netip"
	"slices"
)

// settle returns what is wrong between settings that are each good, and drops those that others make void. Faults never
// quote a key.
func settle(c *Config) []error {
	if c.Sandbox { // A real key has no business at the sandbox.
		c.SeamAPIKey, c.SeamAPIKeyFile, c.SeamPersonalAccessToken, c.SeamWorkspaceID = "", "", "", ""
	}
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New(text)) }
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		fault("--tls-cert-file: and --tls-key-file go together")
		c.TLSCertFile, c.TLSKeyFile = "", "" // Neither can be looked at alone.
	} else if c.TLSClientCAFile != "" && c.TLSCertFile == "" {
		fault("--tls-client-ca-file: needs --tls-cert-file and --tls-key-file")
	}
	if !c.HasServiceCredential() {
		if c.CallersFile != "" && !c.Sandbox {
			fault("--callers-file: is for a service with a key of its own: set SEAM_API_KEY or --seam-api-key-file too")
		}
		return faults
	}
	kinds := slices.DeleteFunc([]string{c.SeamAPIKey, c.SeamAPIKeyFile, c.SeamPersonalAccessToken},
		func(text string) bool { return text == "" })
	if len(kinds) > 1 {
		fault("set only one of SEAM_API_KEY, --seam-api-key-file and SEAM_PERSONAL_ACCESS_TOKEN")
	}
	if c.CallersFile != "" && c.AllowAnonymous {
		fault("--allow-anonymous: contradicts --callers-file")
	}
	if c.CallersFile == "" && !c.AllowAnonymous && (!loopback(c.GRPCListen) || !loopback(c.HTTPListen)) {
		fault("--callers-file: is needed: the service has a key of its own and listens beyond this machine, so whoever " +
			"reaches it could open doors. Name a callers file, or listen on 127.0.0.1, or set --allow-anonymous")
	}
	if c.PlaintextUpstream() && !c.AllowPlaintextUpstream {
		fault("--seam-endpoint: http:// to another machine would show the service's credential to whoever is on the " +
			"way. Use https://, or set --allow-plaintext-upstream")
	}
	if slices.Contains(c.CORSOrigins, "*") {
		fault("--cors-origin: * would let every page in a browser use the service's credential: name those that may")
	}
	return faults
}

// HasServiceCredential says whether the service has a credential of its own.
func (c Config) HasServiceCredential() bool {
	return c.SeamAPIKey != "" || c.SeamAPIKeyFile != "" || c.SeamPersonalAccessToken != ""
}

// PlaintextUpstream says whether requests to Seam, and the credentials in them, leave this machine unencrypted.
func (c Config) PlaintextUpstream() bool {
	at := c.SeamEndpoint // It is nil if it is not a URL.
	return !c.Sandbox && at != nil && at.Scheme == "http" && !loopbackHost(at.Hostname())
}

// loopback says whether an address is one that only this machine reaches. One that is none is a fault already.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err != nil || loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
