// Package config reads the service's configuration from flags, the environment and a file.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Command is what the program is to do.
type Command int

// The commands: serve both faces, check the configuration of that with its files, run the sandbox alone on
// SandboxListen, make a token for a caller, check CallersFile, ask the service on AdminListen whether it is ready.
const (
	Serve Command = iota
	CheckConfig
	Sandbox
	NewToken
	CheckCallers
	Healthcheck
)

// Reflection is who may use gRPC reflection.
type Reflection string

// By default every client may use reflection, but with a service credential only authenticated callers may.
const (
	ReflectionAuto Reflection = "auto"
	ReflectionOn   Reflection = "on"
	ReflectionOff  Reflection = "off"
)

// Config is the configuration. Each setting is declared here and nowhere else: its flag, which is also its key in the
// file and, in upper case, its environment variable; its kind, which parses and checks it (kinds.go); its default.
// docs/configuration.md is generated from it.
type Config struct {
	ConfigFile string `name:"config-file" type:"file" help:"YAML file with settings, by the names of their flags. A flag wins over the environment, and that over the file."`

	GRPCListen  string `name:"grpc-listen" type:"address" default:"127.0.0.1:9090" help:"Address of the gRPC face (host:port; port 0 takes a free one)."`
	HTTPListen  string `name:"http-listen" type:"address" default:"127.0.0.1:8080" help:"Address of the REST face."`
	AdminListen string `name:"admin-listen" type:"address" default:"127.0.0.1:9091" help:"Address of /livez, /readyz, /healthz, /metrics, /config and /loglevel, of /debug/pprof with --pprof, and of channelz with --channelz."`
	Pprof       bool   `name:"pprof" type:"switch" help:"Serve profiles and traces of the process, one at a time and of at most 60 seconds, at /debug/pprof of the admin listener."`

	Channelz bool `name:"channelz" type:"switch" help:"Serve gRPC's channelz, the state of the sockets and streams of the gRPC face, at the admin listener."`

	SeamEndpoint           *url.URL `name:"seam-endpoint" type:"URL" default:"https://connect.getseam.com" help:"Seam's base URL. It is not used with --sandbox."`
	AllowPlaintextUpstream bool     `name:"allow-plaintext-upstream" type:"switch" help:"Send the service credential to a --seam-endpoint on another machine over http://, unencrypted."`

	Sandbox       bool   `name:"sandbox" type:"switch" help:"Run an in-memory Seam and use it in place of the real one."`
	SandboxListen string `name:"sandbox-listen" type:"address" default:"127.0.0.1:0" help:"Address of the sandbox."`

	DefaultTimeout time.Duration `name:"default-timeout" type:"duration" default:"30s" help:"Deadline of a call whose caller sets none. If only --max-timeout is set, it is no longer than that."`
	MaxTimeout     time.Duration `name:"max-timeout" type:"duration" default:"60s" help:"Longest deadline of any call."`

	MaxInFlight    int     `name:"max-in-flight" type:"count" default:"1024" help:"Calls worked on at once; more are refused."`
	CallerRPS      float64 `name:"caller-rps" type:"rate" default:"0" help:"Calls a second that one caller may make; 0 for any number."`
	MaxResponseMiB int     `name:"max-response-mib" type:"MiB" default:"8" help:"Longest response of Seam that is accepted, in MiB. A list of 15,000 sessions has about 8; one takes some four times its length in memory."`

	DrainDelay       time.Duration `name:"drain-delay" type:"delay" default:"5s" help:"How long calls are still accepted after SIGTERM, while load balancers notice that the service is not ready."`
	DrainTimeout     time.Duration `name:"drain-timeout" type:"duration" default:"20s" help:"How long calls in flight may take to finish after that."`
	HTTPIdleTimeout  time.Duration `name:"http-idle-timeout" type:"duration" default:"120s" help:"When connections of the REST face without a request are closed. It has to be longer than a load balancer in front keeps its idle connections: 620s behind Google Cloud's."`
	MaxConnectionAge time.Duration `name:"max-connection-age" type:"duration" default:"5m" help:"When connections, of callers and to Seam, are replaced by new ones, so that load balancers and DNS are followed."`

	Reflection Reflection `name:"reflection" type:"reflection" default:"auto" help:"Who may use gRPC reflection: on (every client), off (no client), or auto: every client, but only authenticated callers with a service credential."`

	APIDocs bool `name:"api-docs" type:"switch" help:"Serve a page at /docs of the REST face where a person can read about the API and try it out. With --sandbox it always is. The OpenAPI document at /openapi.json and /openapi.yaml needs no setting."`

	SeamAPIKey              string `name:"seam-api-key" type:"secret" hidden:"" help:"The service credential as an API key."`
	SeamAPIKeyFile          string `name:"seam-api-key-file" type:"file" help:"File with the service credential, an API key, which is read again when it changes (or set SEAM_API_KEY, or SEAM_PERSONAL_ACCESS_TOKEN and SEAM_WORKSPACE_ID). Without a service credential, each caller sends its own."`
	SeamPersonalAccessToken string `name:"seam-personal-access-token" type:"secret" hidden:"" help:"The service credential as a personal access token."`
	SeamWorkspaceID         string `name:"seam-workspace-id" type:"text" help:"Workspace of the personal access token."`
	SeamCAFile              string `name:"seam-ca-file" type:"file" help:"Certificate authorities for Seam, beside the system's."`
	CallersFile             string `name:"callers-file" type:"file" help:"Callers that may use the service credential."`
	IssuerCAFile            string `name:"issuer-ca-file" type:"file" help:"Certificate authorities for the issuers of JWTs in the callers file, beside the system's."`
	AllowAnonymous          bool   `name:"allow-anonymous" type:"switch" help:"Let unauthenticated clients use the service credential."`

	TLSCertFile     string `name:"tls-cert-file" type:"file" help:"Certificate of both faces; without it they speak plain text."`
	TLSKeyFile      string `name:"tls-key-file" type:"file" help:"Key of the certificate."`
	TLSClientCAFile string `name:"tls-client-ca-file" type:"file" help:"Certificate authorities of callers."`
	// TLSMinVersion is tls.VersionTLS12 or tls.VersionTLS13.
	TLSMinVersion uint16 `name:"tls-min-version" type:"TLS version" default:"1.3" help:"Least version of TLS: 1.3 or 1.2."`

	TrustedProxies []netip.Prefix `name:"trusted-proxy" type:"networks" help:"Network whose X-Forwarded-For is trusted, such as 10.0.0.0/8. Repeatable."`
	CORSOrigins    []string       `name:"cors-origin" type:"origins" help:"Origin whose pages may call the REST face, such as https://app.example.com, or * without a service credential. Repeatable; none by default."`
	// AllowedHosts are in lower case.
	AllowedHosts []string `name:"allowed-host" type:"host names" help:"Name in the Host header, beside localhost and addresses, that the admin listener accepts, and the REST face where unauthenticated clients may use the service credential. Repeatable."`

	AuditLog bool `name:"audit-log" type:"switch" help:"Log an audit line for each RPC: who did which RPC to which session and resources, with what outcome. It has ids and no tokens."`

	Log

	// Command is what to do, and Version what --version prints and Seam sees in the User-Agent.
	Command Command `kong:"-"`
	Version string  `kong:"-"`
	// WriteCAFile is where the command Sandbox writes its authority. It serves plain text if that is empty.
	WriteCAFile string `kong:"-"`
	// Settings are the settings of the command, in the order of their declarations.
	Settings []Setting `kong:"-"`
}

// Log is what is logged, and how.
type Log struct {
	// LogLevel can change while the service runs.
	LogLevel  *slog.LevelVar `name:"log-level" type:"log level" default:"info" help:"Least level to log: debug, info, warn or error."`
	LogFormat string         `name:"log-format" type:"log format" default:"json" help:"Format of the log: json or text."`
}

// commands are the commands with their flags.
type commands struct {
	Serve   Config `cmd:"" default:"withargs" help:"Serve both faces (the default)."`
	Sandbox struct {
		Listen string `name:"listen" variable:"SANDBOX_LISTEN" type:"address" default:"127.0.0.1:9092" help:"Address of the sandbox."`
		// The variable says whose it is, as that of the address does.
		WriteCAFile string `name:"write-ca-file" variable:"SANDBOX_WRITE_CA_FILE" type:"file" help:"Serve TLS, with a certificate made at the start, and write its authority to this file, for clients."`

		Log
	} `cmd:"" help:"Run the in-memory Seam alone, to try out an SDK or a client against it."`

	Config struct {
		Print Config `cmd:"" help:"Print the configuration of serve that is in force, and where each value comes from."`
		Check Config `cmd:"" help:"Check the configuration of serve and the files that it names, without listening: exit code 0, or 2 with every violation."`
	} `cmd:"" help:"Help with the configuration."`

	Callers struct {
		Token struct{} `cmd:"" help:"Make a bearer token for a caller, and its hash for the callers file."`
		Check struct {
			File string `arg:"" help:"The callers file."`
		} `cmd:"" help:"Check a callers file and report every violation in it."`
	} `cmd:"" help:"Help with the callers file."`

	Healthcheck Config `cmd:"" help:"Ask a running service with the same configuration, at its --admin-listen, whether it is ready: exit code 0 or 1."`

	Version kong.VersionFlag `name:"version" help:"Print the version and exit."`
}

// ErrDone is the error when the arguments only asked to print something (help, the version, the configuration).
var ErrDone = errors.New("nothing left to do")

// Parse reads the arguments, and the environment and the configuration file for the settings they leave out. What is to
// be printed goes to out and ends in ErrDone. Any other error has every violation of the configuration, a line each;
// the Config beside it has the valid settings.
func Parse(args []string, version string, out io.Writer) (Config, error) {
	var unknown []error
	for {
		c, err := parse(args, version, out)
		rest, found := withoutUnknownFlag(args, err)
		if !found {
			if len(unknown) > 0 && errors.Is(err, ErrDone) {
				err = nil
			}
			return c, errors.Join(append(unknown, err)...)
		}
		// Kong ends at the first unknown flag. The others, and all other violations, are found without it.
		args, out, unknown = rest, io.Discard, append(unknown, err)
	}
}

// withoutUnknownFlag returns the arguments without the flag that an error calls unknown, if it does.
func withoutUnknownFlag(args []string, err error) ([]string, bool) {
	if err == nil {
		return nil, false
	}
	text, unknown := strings.CutPrefix(err.Error(), "unknown flag ")
	name, _, _ := strings.Cut(text, ",")
	at := slices.IndexFunc(args, func(arg string) bool { return arg == name || strings.HasPrefix(arg, name+"=") })
	if !unknown || at < 0 {
		return nil, false
	}
	end := at + 1
	if args[at] == name && end < len(args) && !strings.HasPrefix(args[end], "-") {
		end++ // Its value.
	}
	return slices.Concat(args[:at], args[end:]), true
}

func parse(args []string, version string, out io.Writer) (Config, error) {
	var read commands
	r := &reader{violations: map[string][]error{}, origins: map[string]string{}}
	done := false
	parser, err := kong.New(&read, append(r.kinds(),
		kong.Name("client-session-service"),
		kong.Description("Seam's client sessions API as gRPC and REST."),
		kong.Vars{"version": version},
		kong.Writers(out, io.Discard),
		kong.Exit(func(int) { done = true }),
		kong.ValueFormatter(describe),
		kong.Resolvers(kong.ResolverFunc(r.resolve)),
	)...)
	if err != nil {
		return Config{}, fmt.Errorf("describe the flags: %w", err)
	}
	chosen, err := parser.Parse(args)
	if done {
		return Config{}, ErrDone
	}
	if err != nil {
		return Config{}, withCommands(err, parser.Model)
	}
	c := &Config{}
	switch chosen.Command() {
	case "sandbox":
		c = &Config{
			Command: Sandbox, Log: read.Sandbox.Log,
			SandboxListen: read.Sandbox.Listen, WriteCAFile: read.Sandbox.WriteCAFile,
		}
	case "callers token":
		c.Command = NewToken
	case "callers check <file>":
		c.Command, c.CallersFile = CheckCallers, read.Callers.Check.File
	case "config print":
		c = &read.Config.Print
	case "config check":
		c = &read.Config.Check
		c.Command = CheckConfig
	case "healthcheck":
		c = &read.Healthcheck
		c.Command = Healthcheck
	default:
		c = &read.Serve
	}
	c.Version = version
	violations := r.all(chosen)
	for _, flag := range chosen.Selected().Flags {
		if variable(flag.Value) != "" {
			c.Settings = append(c.Settings, Setting{flag, r.origins[flag.Name]})
		}
	}
	if c.Command == Serve || c.Command == CheckConfig {
		violations = append(violations, crossCheck(c, r.origins)...)
	}
	if len(violations) > 0 {
		return *c, errors.Join(violations...)
	}
	if chosen.Command() == "config print" {
		if err := c.Print(out); err != nil {
			return *c, fmt.Errorf("print the configuration: %w", err)
		}
		return *c, ErrDone
	}
	return *c, nil
}

// withCommands adds the commands to the error for an argument that is none of them.
func withCommands(err error, program *kong.Application) error {
	if !strings.HasPrefix(err.Error(), "unexpected argument ") {
		return err
	}
	var names []string
	for _, command := range program.Leaves(true) {
		names = append(names, strings.TrimPrefix(command.FullPath(), program.Name+" "))
	}
	return fmt.Errorf("%w: the commands are %s", err, strings.Join(names, ", "))
}
