// Package config reads the service's configuration from flags and the environment.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

// Config is a configuration without faults.
type Config struct {
	// GRPCListen, HTTPListen and AdminListen are the addresses of the three listeners, host:port.
	GRPCListen, HTTPListen, AdminListen string
	// SeamEndpoint is Seam's base URL. It is not used when Sandbox is true.
	SeamEndpoint *url.URL
	// Sandbox says to run the built-in sandbox, on SandboxListen, and to use it in place of Seam.
	Sandbox       bool
	SandboxListen string
	// LogLevel is the least level that is logged; LogJSON chooses between JSON and text.
	LogLevel slog.Level
	LogJSON  bool
	// DefaultTimeout is the deadline of a call whose caller sets none; MaxTimeout caps every deadline.
	DefaultTimeout, MaxTimeout time.Duration
	// Version is what --version prints and Seam sees in the User-Agent.
	Version string
}

// flags are the flags as they are written. The values that can be wrong are texts here, so that a fault in one does
// not keep the others from being looked at.
type flags struct {
	GRPCListen  string `name:"grpc-listen" env:"GRPC_LISTEN" default:"127.0.0.1:9090" help:"Address of the gRPC face (host:port; port 0 takes a free one)."`
	HTTPListen  string `name:"http-listen" env:"HTTP_LISTEN" default:"127.0.0.1:8080" help:"Address of the REST face."`
	AdminListen string `name:"admin-listen" env:"ADMIN_LISTEN" default:"127.0.0.1:9091" help:"Address of /livez, /readyz, /metrics and /debug/pprof."`

	SeamEndpoint string `name:"seam-endpoint" env:"SEAM_ENDPOINT" default:"https://connect.getseam.com" help:"Seam's base URL."`

	Sandbox       bool   `name:"sandbox" env:"SANDBOX" help:"Run an in-memory Seam and use it in place of the real one."`
	SandboxListen string `name:"sandbox-listen" env:"SANDBOX_LISTEN" default:"127.0.0.1:0" help:"Address of the sandbox."`

	DefaultTimeout string `name:"default-timeout" env:"DEFAULT_TIMEOUT" default:"30s" help:"Deadline of a call whose caller sets none."`
	MaxTimeout     string `name:"max-timeout" env:"MAX_TIMEOUT" default:"60s" help:"Longest deadline of any call."`

	LogLevel  string `name:"log-level" env:"LOG_LEVEL" default:"info" help:"Least level to log: debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"LOG_FORMAT" default:"json" help:"Format of the log: json or text."`

	Version kong.VersionFlag `name:"version" help:"Print the version and exit."`
}

// ErrDone says that the arguments asked for something to be printed (help, the version), which has been done.
var ErrDone = errors.New("nothing left to do")

// Parse reads the arguments, and the environment for the flags they leave out. Help and version go to out and end in
// ErrDone. Any other error names every fault of the configuration, a line each.
func Parse(args []string, version string, out io.Writer) (Config, error) {
	var read flags
	done := false
	parser, err := kong.New(&read,
		kong.Name("client-session-service"),
		kong.Description("Seam's client sessions API as gRPC and REST."),
		kong.Vars{"version": version},
		kong.Writers(out, io.Discard),
		kong.Exit(func(int) { done = true }),
	)
	if err != nil {
		return Config{}, fmt.Errorf("describe the flags: %w", err)
	}
	_, err = parser.Parse(args)
	if done {
		return Config{}, ErrDone
	}
	if err != nil {
		return Config{}, err
	}
	config, err := read.check()
	config.Version = version
	return config, err
}

func (f flags) check() (Config, error) {
	var faults []error
	fault := func(flag, format string, values ...any) {
		faults = append(faults, fmt.Errorf("--%s: "+format, append([]any{flag}, values...)...))
	}
	listen := func(flag, address string) string {
		host, port, err := net.SplitHostPort(address)
		number, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || (host != "" && net.ParseIP(host) == nil && host != "localhost") {
			fault(flag, "%q is not an address: give host:port, such as 127.0.0.1:%d", address, number)
		}
		return address
	}
	timeout := func(flag, text string) time.Duration {
		duration, err := time.ParseDuration(text)
		if err != nil || duration <= 0 {
			fault(flag, "%q is not a time above zero, such as 30s", text)
		}
		return duration
	}
	config := Config{
		GRPCListen:     listen("grpc-listen", f.GRPCListen),
		HTTPListen:     listen("http-listen", f.HTTPListen),
		AdminListen:    listen("admin-listen", f.AdminListen),
		Sandbox:        f.Sandbox,
		SandboxListen:  listen("sandbox-listen", f.SandboxListen),
		DefaultTimeout: timeout("default-timeout", f.DefaultTimeout),
		MaxTimeout:     timeout("max-timeout", f.MaxTimeout),
		LogJSON:        f.LogFormat == "json",
	}
	endpoint, err := url.Parse(f.SeamEndpoint)
	switch {
	case err != nil:
		// The error of url.Parse quotes the URL, which may hold a password.
		fault("seam-endpoint", "is not a URL")
	case (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Hostname() == "":
		fault("seam-endpoint", "needs http:// or https:// and a host")
	case endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "":
		fault("seam-endpoint", "must have no user, no query and no fragment")
	}
	config.SeamEndpoint = endpoint
	if err := config.LogLevel.UnmarshalText([]byte(f.LogLevel)); err != nil {
		fault("log-level", "%q is none of debug, info, warn, error", f.LogLevel)
	}
	if f.LogFormat != "json" && f.LogFormat != "text" {
		fault("log-format", "%q is neither json nor text", f.LogFormat)
	}
	return config, errors.Join(faults...)
}
