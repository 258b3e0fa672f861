// Package config reads the service's configuration from flags and the environment.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/alecthomas/kong"
)

// Command is what the program is to do.
type Command int

// The commands: serve both faces, run the sandbox alone on SandboxListen, make a token for a caller, check CallersFile.
const (
	Serve Command = iota
	Sandbox
	NewToken
	CheckCallers
)

// Reflection says whom gRPC reflection answers.
type Reflection string

// Reflection answers everybody, nobody, or, by default, everybody but where the service has a credential of its own and
// the caller is not known.
const (
	ReflectionAuto Reflection = "auto"
	ReflectionOn   Reflection = "on"
	ReflectionOff  Reflection = "off"
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
	// Command is what to do.
	Command Command
	// CORSOrigins are the origins whose pages may call the REST face from a browser.
	CORSOrigins []string
	// AllowedHosts are the names, in lower case, by which callers may address what checks the Host header.
	AllowedHosts []string
	// Pprof says to serve profiles of the process on AdminListen.
	Pprof bool
	// SeamCAFile has further certificate authorities for Seam's certificate, empty for the system's alone.
	SeamCAFile string
	// The service's own credential at Seam: none (each caller brings its own), an API key, in SeamAPIKey or in a file
	// that is read again when it changes, or a personal access token for a workspace.
	SeamAPIKey, SeamAPIKeyFile               string
	SeamPersonalAccessToken, SeamWorkspaceID string
	// CallersFile says who may call when the service has a credential of its own; AllowAnonymous lets anybody.
	CallersFile    string
	AllowAnonymous bool
	// TLSCertFile and TLSKeyFile are the certificate of both faces, empty for plain text; TLSClientCAFile are the
	// authorities of the callers' certificates, empty for none. TLSMinVersion is tls.VersionTLS12 or tls.VersionTLS13.
	TLSCertFile, TLSKeyFile, TLSClientCAFile string
	TLSMinVersion                            uint16
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// LogLevel is the least level that is logged; LogJSON chooses between JSON and text.
	LogLevel slog.Level
	LogJSON  bool
	// DefaultTimeout is the deadline of a call whose caller sets none; MaxTimeout caps every deadline.
	DefaultTimeout, MaxTimeout time.Duration
	// MaxInFlight is how many calls are worked on at once; CallerRPS is how many a second one caller may make, 0 for any
	// number.
	MaxInFlight int
	CallerRPS   float64
	// MaxResponseBytes bounds a response of Seam.
	MaxResponseBytes int
	// DrainDelay is how long the service still takes calls after it was told to end and has said so; DrainTimeout is how
	// long those in flight may then take to finish.
	DrainDelay, DrainTimeout time.Duration
	// Reflection says whom gRPC reflection answers.
	Reflection Reflection
	// MaxConnectionAge is when a connection, of a caller or to Seam, is to be replaced by a new one.
	MaxConnectionAge time.Duration
	// Version is what --version prints and Seam sees in the User-Agent.
	Version string
}

// commands are the commands with their flags. The values that can be wrong are texts here, so that a fault in one does
// not keep the others from being looked at.
type commands struct {
	Serve   serveFlags   `cmd:"" default:"withargs" help:"Serve both faces (the default)."`
	Sandbox sandboxFlags `cmd:"" help:"Run the in-memory Seam alone, to try out an SDK or a client against it."`

	Callers struct {
		Token struct{} `cmd:"" help:"Make a bearer token for a caller, and its hash for the callers file."`
		Check struct {
			File string `arg:"" help:"The callers file."`
		} `cmd:"" help:"Check a callers file and report every fault in it."`
	} `cmd:"" help:"Help with the callers file."`

	Version kong.VersionFlag `name:"version" help:"Print the version and exit."`
}

type sandboxFlags struct {
	Listen string `name:"listen" env:"SANDBOX_LISTEN" default:"127.0.0.1:9092" help:"Address of the sandbox."`

	logFlags
}

type logFlags struct {
	LogLevel  string `name:"log-level" env:"LOG_LEVEL" default:"info" help:"Least level to log: debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"LOG_FORMAT" default:"json" help:"Format of the log: json or text."`
}

type serveFlags struct {
	GRPCListen  string `name:"grpc-listen" env:"GRPC_LISTEN" default:"127.0.0.1:9090" help:"Address of the gRPC face (host:port; port 0 takes a free one)."`
	HTTPListen  string `name:"http-listen" env:"HTTP_LISTEN" default:"127.0.0.1:8080" help:"Address of the REST face."`
	AdminListen string `name:"admin-listen" env:"ADMIN_LISTEN" default:"127.0.0.1:9091" help:"Address of /livez, /readyz and /metrics, and of /debug/pprof with --pprof."`
	Pprof       bool   `name:"pprof" env:"PPROF" help:"Serve profiles and traces of the process, one at a time and of at most 60 seconds, at /debug/pprof of the admin listener."`

	SeamEndpoint           string `name:"seam-endpoint" env:"SEAM_ENDPOINT" default:"https://connect.getseam.com" help:"Seam's base URL."`
	AllowPlaintextUpstream bool   `name:"allow-plaintext-upstream" env:"ALLOW_PLAINTEXT_UPSTREAM" help:"Let the service's own credential go to a --seam-endpoint on another machine over http://."`

	Sandbox       bool   `name:"sandbox" env:"SANDBOX" help:"Run an in-memory Seam and use it in place of the real one."`
	SandboxListen string `name:"sandbox-listen" env:"SANDBOX_LISTEN" default:"127.0.0.1:0" help:"Address of the sandbox."`

	DefaultTimeout string `name:"default-timeout" env:"DEFAULT_TIMEOUT" default:"30s" help:"Deadline of a call whose caller sets none."`
	MaxTimeout     string `name:"max-timeout" env:"MAX_TIMEOUT" default:"60s" help:"Longest deadline of any call."`

	MaxInFlight string `name:"max-in-flight" env:"MAX_IN_FLIGHT" default:"1024" help:"Calls worked on at once; more are refused."`
	CallerRPS   string `name:"caller-rps" env:"CALLER_RPS" default:"0" help:"Calls a second that one caller may make; 0 for any number."`

	MaxResponseMiB string `name:"max-response-mib" env:"MAX_RESPONSE_MIB" default:"8" help:"Longest response of Seam that is taken, in MiB. A list of 15,000 sessions has about 8; one takes some four times its length in memory."`

	DrainDelay       string `name:"drain-delay" env:"DRAIN_DELAY" default:"5s" help:"How long calls are still taken after SIGTERM, while load balancers hear that the service is not ready."`
	DrainTimeout     string `name:"drain-timeout" env:"DRAIN_TIMEOUT" default:"20s" help:"How long calls in flight may take to finish after that."`
	MaxConnectionAge string `name:"max-connection-age" env:"MAX_CONNECTION_AGE" default:"5m" help:"When connections, of callers and to Seam, are replaced by new ones, so that load balancers and DNS are followed."`

	Reflection string `name:"reflection" env:"REFLECTION" default:"auto" help:"Whom gRPC reflection answers: on (everybody), off (nobody), or auto: everybody, but known callers only when the service has a key of its own."`

	// Keys are not flags: everybody on a machine can read the flags of a process.
	SeamAPIKey              string `kong:"-"`
	SeamPersonalAccessToken string `kong:"-"`
	SeamWorkspaceID         string `kong:"-"`

	SeamAPIKeyFile string `name:"seam-api-key-file" env:"SEAM_API_KEY_FILE" help:"File with the service's own API key (or set SEAM_API_KEY, or SEAM_PERSONAL_ACCESS_TOKEN and SEAM_WORKSPACE_ID). Without any, each caller brings its own."`
	SeamCAFile     string `name:"seam-ca-file" env:"SEAM_CA_FILE" help:"Certificate authorities for Seam, beside the system's."`
	CallersFile    string `name:"callers-file" env:"CALLERS_FILE" help:"Who may call a service that has a key of its own."`
	AllowAnonymous bool   `name:"allow-anonymous" env:"ALLOW_ANONYMOUS" help:"Let anybody who reaches the service use its key."`

	TLSCertFile     string   `name:"tls-cert-file" env:"TLS_CERT_FILE" help:"Certificate of both faces."`
	TLSKeyFile      string   `name:"tls-key-file" env:"TLS_KEY_FILE" help:"Key of the certificate."`
	TLSClientCAFile string   `name:"tls-client-ca-file" env:"TLS_CLIENT_CA_FILE" help:"Certificate authorities of callers."`
	TLSMinVersion   string   `name:"tls-min-version" env:"TLS_MIN_VERSION" default:"1.3" help:"Least version of TLS: 1.3 or 1.2."`
	TrustedProxy    []string `name:"trusted-proxy" env:"TRUSTED_PROXY" help:"Network whose X-Forwarded-For is believed, such as 10.0.0.0/8. Repeatable."`

	CORSOrigin []string `name:"cors-origin" env:"CORS_ORIGIN" help:"Origin whose pages may call the REST face, such as https://app.example.com, or * unless the service has a credential of its own. Repeatable; none by default."`

	AllowedHost []string `name:"allowed-host" env:"ALLOWED_HOST" help:"Name in the Host header, beside localhost and addresses, that the admin listener answers to, and the REST face where anybody may use the service's own credential. Repeatable."`

	logFlags
}

// ErrDone says that the arguments asked for something to be printed (help, the version), which has been done.
var ErrDone = errors.New("nothing left to do")

// Parse reads the arguments, and the environment for the flags they leave out. Help and version go to out and end in
// ErrDone. Any other error names every fault of the configuration, a line each.
func Parse(args []string, version string, out io.Writer) (Config, error) {
	var read commands
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
	chosen, err := parser.Parse(args)
	if done {
		return Config{}, ErrDone
	}
	if err != nil {
		return Config{}, err
	}
	c := check{Config: Config{Version: version}}
	switch chosen.Command() {
	case "sandbox":
		c.sandbox(read.Sandbox)
	case "callers token":
		c.Command = NewToken
	case "callers check <file>":
		c.Command, c.CallersFile = CheckCallers, read.Callers.Check.File
	default:
		read.Serve.SeamAPIKey = os.Getenv("SEAM_API_KEY")
		read.Serve.SeamPersonalAccessToken = os.Getenv("SEAM_PERSONAL_ACCESS_TOKEN")
		read.Serve.SeamWorkspaceID = os.Getenv("SEAM_WORKSPACE_ID")
		c.serve(read.Serve)
	}
	return c.Config, errors.Join(c.faults...)
}
