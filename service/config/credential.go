package config

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
)

// credential checks what the service calls Seam with and who may use it. Faults never quote a key.
func (c *check) credential(f serveFlags) {
	c.CallersFile, c.AllowAnonymous, c.SeamCAFile = f.CallersFile, f.AllowAnonymous, f.SeamCAFile
	if f.Sandbox {
		return // A real key has no business at the sandbox.
	}
	c.SeamAPIKey, c.SeamAPIKeyFile = f.SeamAPIKey, f.SeamAPIKeyFile
	c.SeamPersonalAccessToken, c.SeamWorkspaceID = f.SeamPersonalAccessToken, f.SeamWorkspaceID
	kinds := 0
	for _, text := range []string{f.SeamAPIKey, f.SeamAPIKeyFile, f.SeamPersonalAccessToken} {
		if text != "" {
			kinds++
		}
	}
	if kinds > 1 {
		c.faults = append(c.faults,
			errors.New("set only one of SEAM_API_KEY, --seam-api-key-file and SEAM_PERSONAL_ACCESS_TOKEN"))
	}
	if f.SeamPersonalAccessToken != "" && f.SeamWorkspaceID == "" {
		c.faults = append(c.faults, errors.New("SEAM_PERSONAL_ACCESS_TOKEN needs SEAM_WORKSPACE_ID"))
	}
	if kinds == 0 {
		if f.CallersFile != "" {
			c.faultf("callers-file", "is for a service with a key of its own: set SEAM_API_KEY or --seam-api-key-file too")
		}
		return
	}
	if f.CallersFile != "" && f.AllowAnonymous {
		c.faultf("allow-anonymous", "contradicts --callers-file")
	}
	if f.CallersFile == "" && !f.AllowAnonymous && (!loopback(f.GRPCListen) || !loopback(f.HTTPListen)) {
		c.faultf("callers-file", "is needed: the service has a key of its own and listens beyond this machine, so whoever "+
			"reaches it could open doors. Name a callers file, or listen on 127.0.0.1, or set --allow-anonymous")
	}
	if c.PlaintextUpstream() && !f.AllowPlaintextUpstream {
		c.faultf("seam-endpoint", "http:// to another machine would show the service's credential to whoever is on the "+
			"way. Use https://, or set --allow-plaintext-upstream")
	}
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

// loopback says whether an address is one that only this machine reaches.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (c *check) tls(f serveFlags) {
	c.TLSCertFile, c.TLSKeyFile, c.TLSClientCAFile = f.TLSCertFile, f.TLSKeyFile, f.TLSClientCAFile
	if (f.TLSCertFile == "") != (f.TLSKeyFile == "") {
		c.faultf("tls-cert-file", "and --tls-key-file go together")
	}
	if f.TLSClientCAFile != "" && f.TLSCertFile == "" {
		c.faultf("tls-client-ca-file", "needs --tls-cert-file and --tls-key-file")
	}
	switch f.TLSMinVersion {
	case "1.3":
		c.TLSMinVersion = tls.VersionTLS13
	case "1.2":
		c.TLSMinVersion = tls.VersionTLS12
	default:
		c.faultf("tls-min-version", "%q is neither 1.3 nor 1.2", f.TLSMinVersion)
	}
}
