package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// check turns flags into a Config and collects what is wrong with them.
type check struct {
	Config

	faults []error
}

func (c *check) faultf(flag, format string, values ...any) {
	c.faults = append(c.faults, fmt.Errorf("--%s: "+format, append([]any{flag}, values...)...))
}

func (c *check) sandbox(f sandboxFlags) {
	c.Command = Sandbox
	c.SandboxListen = c.listen("listen", f.Listen)
	c.log(f.logFlags)
}

func (c *check) serve(f serveFlags) {
	c.GRPCListen = c.listen("grpc-listen", f.GRPCListen)
	c.HTTPListen = c.listen("http-listen", f.HTTPListen)
	c.AdminListen = c.listen("admin-listen", f.AdminListen)
	c.Pprof = f.Pprof
	c.SeamEndpoint = c.endpoint(f.SeamEndpoint)
	c.Sandbox = f.Sandbox
	c.SandboxListen = c.listen("sandbox-listen", f.SandboxListen)
	c.DefaultTimeout = c.timeout("default-timeout", f.DefaultTimeout)
	c.MaxTimeout = c.timeout("max-timeout", f.MaxTimeout)
	c.load(f)
	c.credential(f)
	c.tls(f)
	for _, network := range f.TrustedProxy {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			c.faultf("trusted-proxy", "%q is not a network, such as 10.0.0.0/8", network)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	for _, origin := range f.CORSOrigin {
		c.CORSOrigins = append(c.CORSOrigins, c.origin(origin))
	}
	for _, host := range f.AllowedHost {
		if !hostName.MatchString(host) {
			c.faultf("allowed-host", "%q is not a host name, such as sessions.example.com, without a port", host)
		}
		c.AllowedHosts = append(c.AllowedHosts, strings.ToLower(host))
	}
	switch c.Reflection = Reflection(f.Reflection); c.Reflection {
	case ReflectionAuto, ReflectionOn, ReflectionOff:
	default:
		c.faultf("reflection", "%q is none of auto, on, off", f.Reflection)
	}
	c.log(f.logFlags)
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func (c *check) log(f logFlags) {
	if err := c.LogLevel.UnmarshalText([]byte(f.LogLevel)); err != nil {
		c.faultf("log-level", "%q is none of debug, info, warn, error", f.LogLevel)
	}
	if f.LogFormat != "json" && f.LogFormat != "text" {
		c.faultf("log-format", "%q is neither json nor text", f.LogFormat)
	}
	c.LogJSON = f.LogFormat == "json"
}

func (c *check) listen(flag, address string) string {
	host, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || (host != "" && net.ParseIP(host) == nil && host != "localhost") {
		c.faultf(flag, "%q is not an address: give host:port, such as 127.0.0.1:9090", address)
	}
	return address
}

func (c *check) timeout(flag, text string) time.Duration {
	duration, err := time.ParseDuration(text)
	if err != nil || duration <= 0 {
		c.faultf(flag, "%q is not a time above zero, such as 30s", text)
	}
	return duration
}

// load checks what the service does about too much of it, and about its own end.
func (c *check) load(f serveFlags) {
	limit, err := strconv.ParseUint(f.MaxInFlight, 10, 20)
	if err != nil || limit == 0 {
		c.faultf("max-in-flight", "%q is not a number from 1 to 1048575", f.MaxInFlight)
	}
	c.MaxInFlight = int(limit)
	rps, err := strconv.ParseFloat(f.CallerRPS, 64)
	if err != nil || !(rps >= 0 && rps <= 1e6) {
		c.faultf("caller-rps", "%q is not a number from 0 to 1000000", f.CallerRPS)
	}
	c.CallerRPS = rps
	mebibytes, err := strconv.ParseUint(f.MaxResponseMiB, 10, 16)
	if err != nil || mebibytes == 0 || mebibytes > 1024 {
		c.faultf("max-response-mib", "%q is not a number from 1 to 1024", f.MaxResponseMiB)
	}
	c.MaxResponseBytes = int(mebibytes) << 20
	delay, err := time.ParseDuration(f.DrainDelay)
	if err != nil || delay < 0 {
		c.faultf("drain-delay", "%q is not a time, such as 5s or 0s", f.DrainDelay)
	}
	c.DrainDelay = delay
	c.DrainTimeout = c.timeout("drain-timeout", f.DrainTimeout)
	c.MaxConnectionAge = c.timeout("max-connection-age", f.MaxConnectionAge)
}

// endpoint checks Seam's base URL. A fault does not quote it: it may hold a password.
func (c *check) endpoint(text string) *url.URL {
	const flag = "seam-endpoint"
	endpoint, err := url.Parse(text)
	switch {
	case err != nil:
		c.faultf(flag, "is not a URL")
	case !isHTTP(endpoint):
		c.faultf(flag, "needs http:// or https:// and a host")
	case endpoint.User != nil || endpoint.RawQuery != "" || endpoint.ForceQuery || endpoint.Fragment != "":
		c.faultf(flag, "must have no user, no query and no fragment")
	}
	return endpoint
}

// origin checks an origin in the form in which browsers send it.
func (c *check) origin(text string) string {
	if text == "*" {
		if c.HasServiceCredential() {
			c.faultf("cors-origin", "* would let every page in a browser use the service's credential: name those that may")
		}
		return text
	}
	parsed, err := url.Parse(text)
	// What answers browsers would take a * within an origin for any text.
	if err != nil || !isHTTP(parsed) || parsed.Scheme+"://"+parsed.Host != text || strings.Contains(text, "*") {
		c.faultf("cors-origin", "%q is not an origin: give scheme://host or scheme://host:port, or *", text)
	}
	return text
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}
