package config_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
)

// TestMain takes the settings out of the environment that the tests are run in.
func TestMain(m *testing.M) {
	os.Clearenv()
	os.Exit(m.Run())
}

func defaults() config.Config {
	return config.Config{
		GRPCListen: "127.0.0.1:9090", HTTPListen: "127.0.0.1:8080", AdminListen: "127.0.0.1:9091",
		SeamEndpoint:  &url.URL{Scheme: "https", Host: "connect.getseam.com"},
		SandboxListen: "127.0.0.1:0",
		TLSMinVersion: tls.VersionTLS13,
		MaxInFlight:   1024, MaxResponseMiB: 8, DrainDelay: 5 * time.Second, DrainTimeout: 20 * time.Second,
		HTTPIdleTimeout: 2 * time.Minute, MaxConnectionAge: 5 * time.Minute,
		Reflection: config.ReflectionAuto,
		Log:        config.Log{LogLevel: level(slog.LevelInfo), LogFormat: "json"}, DefaultTimeout: 30 * time.Second, MaxTimeout: 60 * time.Second, Version: "v1",
	}
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		env    map[string]string
		change func(*config.Config)
	}{
		"defaults": {nil, nil, func(*config.Config) {}},
		"flags": {
			[]string{
				"--grpc-listen=:1", "--http-listen", "0.0.0.0:2", "--admin-listen=[::1]:3", "--seam-endpoint=http://localhost:4/seam/",
				"--sandbox", "--sandbox-listen=localhost:0", "--default-timeout=500ms", "--max-timeout=1m30s", "--log-level=debug",
				"--log-format=text", "--cors-origin=https://a.example", "--cors-origin=http://localhost:3000", "--max-in-flight=64",
				"--caller-rps=2.5", "--drain-delay=1s", "--drain-timeout=2s", "--max-connection-age=1h", "--reflection=off", "--max-response-mib=64",
				"--http-idle-timeout=620s",
				"--allowed-host=sessions.example.com", "--allowed-host=Sessions", "--allowed-host=10.1.2.3", "--pprof",
				"--tls-cert-file=/c", "--tls-key-file=/k", "--tls-client-ca-file=/a", "--tls-min-version=1.2", "--seam-ca-file=/s",
				"--trusted-proxy=10.0.0.0/8", "--trusted-proxy=::1/128",
			},
			nil,
			func(c *config.Config) {
				c.GRPCListen, c.HTTPListen, c.AdminListen = ":1", "0.0.0.0:2", "[::1]:3"
				c.SeamEndpoint = &url.URL{Scheme: "http", Host: "localhost:4", Path: "/seam/"}
				c.Sandbox, c.SandboxListen = true, "localhost:0"
				c.DefaultTimeout, c.MaxTimeout = 500*time.Millisecond, 90*time.Second
				c.LogLevel, c.LogFormat = level(slog.LevelDebug), "text"
				c.CORSOrigins = []string{"https://a.example", "http://localhost:3000"}
				c.AllowedHosts = []string{"sessions.example.com", "sessions", "10.1.2.3"}
				c.Pprof = true
				c.MaxInFlight, c.CallerRPS = 64, 2.5
				c.DrainDelay, c.DrainTimeout, c.MaxConnectionAge = time.Second, 2*time.Second, time.Hour
				c.Reflection, c.MaxResponseMiB, c.HTTPIdleTimeout = config.ReflectionOff, 64, 620*time.Second
				c.TLSCertFile, c.TLSKeyFile, c.TLSClientCAFile, c.TLSMinVersion = "/c", "/k", "/a", tls.VersionTLS12
				c.SeamCAFile = "/s"
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
			},
		},
		"environment": {
			nil,
			map[string]string{
				"GRPC_LISTEN": ":1", "SEAM_ENDPOINT": "https://seam.example", "MAX_TIMEOUT": "2s", "LOG_LEVEL": "error",
				"CORS_ORIGIN": "https://a.example,https://b.example", "MAX_IN_FLIGHT": "8", "CALLER_RPS": "100", "PPROF": "1",
				"SEAM_API_KEY": apiKey, "CALLERS_FILE": "/callers.yaml",
			},
			func(c *config.Config) {
				c.GRPCListen, c.SeamEndpoint = ":1", &url.URL{Scheme: "https", Host: "seam.example"}
				c.DefaultTimeout, c.MaxTimeout, c.LogLevel = 2*time.Second, 2*time.Second, level(slog.LevelError)
				c.CORSOrigins = []string{"https://a.example", "https://b.example"}
				c.MaxInFlight, c.CallerRPS, c.Pprof = 8, 100, true
				c.SeamAPIKey, c.CallersFile = apiKey, "/callers.yaml"
			},
		},
		"least load": {
			[]string{"--max-in-flight=1", "--caller-rps=0", "--drain-delay=0s", "--drain-timeout=1ns", "--max-connection-age=1ms"},
			map[string]string{"CALLER_RPS": "5"},
			func(c *config.Config) {
				c.MaxInFlight, c.CallerRPS = 1, 0
				c.DrainDelay, c.DrainTimeout, c.MaxConnectionAge = 0, 1, time.Millisecond
			},
		},
		"most load": {
			[]string{"--max-in-flight=1048575", "--caller-rps=1e6", "--max-response-mib=1024"},
			nil,
			func(c *config.Config) { c.MaxInFlight, c.CallerRPS, c.MaxResponseMiB = 1048575, 1e6, 1024 },
		},
		"normalized": {
			[]string{
				"--cors-origin=https://A.example:443,http://a.example:80,https://a.example:8443", "--log-level=Warning",
				"--trusted-proxy=::ffff:10.0.0.0/104,fd00::/8",
			},
			nil,
			func(c *config.Config) {
				c.CORSOrigins = []string{"https://a.example", "http://a.example", "https://a.example:8443"}
				c.LogLevel = level(slog.LevelWarn)
				c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
			},
		},
		"empty variables": {
			nil,
			map[string]string{"MAX_TIMEOUT": "", "LOG_FORMAT": "", "SANDBOX": "", "CALLERS_FILE": "", "TRUSTED_PROXY": ""},
			func(*config.Config) {},
		},
		"zero without a unit": {[]string{"--drain-delay=0"}, nil, func(c *config.Config) { c.DrainDelay = 0 }},
		"command named":       {[]string{"serve", "--sandbox"}, nil, func(c *config.Config) { c.Sandbox = true }},
		"sandbox alone": {
			[]string{"sandbox", "--listen=127.0.0.1:5", "--log-level=warn"},
			map[string]string{"SANDBOX_WRITE_CA_FILE": "ca.pem"},
			func(c *config.Config) {
				*c = config.Config{Command: config.Sandbox, SandboxListen: "127.0.0.1:5", WriteCAFile: "ca.pem", Log: config.Log{LogLevel: level(slog.LevelWarn), LogFormat: "json"}, Version: "v1"}
			},
		},
		"healthcheck": {
			[]string{"healthcheck", "--admin-listen=:9"},
			nil,
			func(c *config.Config) { c.Command, c.AdminListen = config.Healthcheck, ":9" },
		},
		// The commands that help with the callers file need no other configuration.
		"token": {
			[]string{"callers", "token"},
			map[string]string{"SEAM_API_KEY": apiKey, "GRPC_LISTEN": "0.0.0.0:1"},
			func(c *config.Config) { *c = config.Config{Command: config.NewToken, Version: "v1"} },
		},
		"check": {
			[]string{"callers", "check", "a.yaml"},
			map[string]string{"SEAM_API_KEY": apiKey, "GRPC_LISTEN": "0.0.0.0:1"},
			func(c *config.Config) {
				*c = config.Config{Command: config.CheckCallers, CallersFile: "a.yaml", Version: "v1"}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			want := defaults()
			test.change(&want)
			got, err := config.Parse(test.args, "v1", io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			got.Settings = nil // TestPrint looks at them.
			if !reflect.DeepEqual(got, want) {
				t.Errorf("config is %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestParseViolations(t *testing.T) {
	for args, want := range map[string]string{
		"--nope":                    "unknown flag --nope",
		"--grpc-lisen=:1":           "unknown flag --grpc-lisen, did you mean \"--grpc-listen\"",
		"nope":                      "unexpected argument nope: the commands are serve, sandbox, config print, config check, callers token",
		"--grpc-listen":             "--grpc-listen",
		"config":                    "expected one of \"print\", \"check\"",
		"callers check":             "expected \"<file>\"",
		"sandbox --listen=x":        "--listen: \"x\" is not an address",
		"sandbox --pprof":           "unknown flag --pprof",
		"sandbox --log-level=":      "--log-level: \"\" is none of debug, info, warn, error",
		"--max-timeout=":            "--max-timeout: \"\" is not a time above zero",
		"--drain-delay=":            "--drain-delay: \"\" is not a time, such as 5s or 0s",
		"--max-in-flight=":          "--max-in-flight: \"\" is not a number from 1 to 1048575",
		"--caller-rps=":             "--caller-rps: \"\" is not a number from 0 to 1000000",
		"--default-timeout=2m":      "--default-timeout: is longer than --max-timeout, which is 1m0s",
		"config print --nope --log": "unknown flag --nope\nunknown flag --log",
		"--nope=1 --sanbox --max-timeout 5 --tls-cert x --no nope": "unknown flag --nope\n" +
			"unknown flag --sanbox, did you mean \"--sandbox\"?\nunknown flag --tls-cert, did you mean \"--tls-cert-file\"?\n" +
			"unknown flag --no\n--max-timeout: \"5\" is not a time above zero",
	} {
		t.Run(args, func(t *testing.T) { checkViolation(t, strings.Split(args, " "), want) })
	}
}

// TestValues shows which values are invalid, and that the error names the setting, the source of the value and the mend,
// whichever the source is.
func TestValues(t *testing.T) {
	dir := t.TempDir() // Its name would have the value, if it were that of the test of the value.
	// VALUE stands for the value.
	for _, test := range []struct {
		setting, want string
		values        []string
	}{
		{"grpc-listen", "VALUE is not an address: give host:port, such as 127.0.0.1:9090", []string{"localhost", "8080"}},
		{"grpc-listen", "VALUE is not an address: an address of IPv6 is in brackets, as in [::1]:9090", []string{"::1:1", "::1", "[::1"}},
		{"http-listen", "VALUE is not an address: the port is a number from 0 to 65535", []string{":65536", ":http", "127.0.0.1:", ":-1"}},
		{"admin-listen", "VALUE is not an address: the host is an IP address, a name or nothing", []string{"127.1:1", "1.2.3.256:1"}},
		{"sandbox-listen", "VALUE is not an address", []string{"http://127.0.0.1:1"}},
		{"seam-endpoint", "needs http:// or https:// and a host", []string{
			"connect.getseam.com", "ftp://seam.example", "https:///x", "https://:1",
		}},
		{"seam-endpoint", "must have no user, no query and no fragment", []string{
			"https://u:passw0rd@seam.example", "https://seam.example?key=passw0rd", "https://seam.example?", "https://seam.example#x",
		}},
		{"seam-endpoint", "is not a URL", []string{"https://u:passw0rd@seam.example:x"}},
		{"max-timeout", "VALUE is not a time above zero, such as 30s", []string{"0s", "-1s", "forever", "0"}},
		{"max-timeout", "VALUE is not a time above zero, such as 30s: it has no unit, such as 30s", []string{"30"}},
		{"max-connection-age", "VALUE is not a time above zero, such as 30s: the largest unit is h", []string{"1d", "2w"}},
		{"drain-delay", "VALUE is not a time, such as 5s or 0s", []string{"-1s", "later"}},
		{"drain-delay", "VALUE is not a time, such as 5s or 0s: it has no unit, such as 5s", []string{"5"}},
		{"max-response-mib", "VALUE is not a number from 1 to 1024", []string{"0", "1025", "8MiB"}},
		{"max-in-flight", "VALUE is not a number from 1 to 1048575", []string{
			"0", "-1", "many", "1048576", "99999999999999999999", "1.5", "0x10",
		}},
		{"caller-rps", "VALUE is not a number from 0 to 1000000", []string{
			"NaN", "Inf", "-Inf", "-0.001", "fast", "5/s", "1000001", "1e999",
		}},
		{"reflection", "VALUE is none of auto, on, off", []string{"maybe"}},
		{"log-level", "VALUE is none of debug, info, warn, error", []string{"loud", "info+2", "error+100"}},
		{"log-format", "VALUE is neither json nor text", []string{"xml"}},
		{"tls-min-version", "VALUE is neither 1.3 nor 1.2", []string{"1.0"}},
		{"sandbox", "VALUE is neither true nor false", []string{"perhaps"}},
		{"trusted-proxy", "VALUE is not a network", []string{"10.0.0.0/33", "any", "::ffff:10.0.0.0/90"}},
		{"trusted-proxy", "VALUE is not a network: give its length, as in VALUE/32", []string{"10.0.0.1"}},
		{"cors-origin", "VALUE is not an origin: give scheme://host or scheme://host:port, or *", []string{
			"https://a.example/", "a.example", "null", "https://*.example.com", "https://a.example:*", "https://*", "**",
			"https://a.example:", "https://a.example:99999",
		}},
		{"cors-origin", "VALUE is not an origin: give the host in its ASCII form", []string{"https://münchen.example"}},
		{"allowed-host", "VALUE is not a host name", []string{"a.example:80", "http://a.example", "*.example.com", "*", "a.example."}},
	} {
		for _, value := range test.values {
			want := ": " + strings.NewReplacer(`VALUE/`, value+"/", "VALUE", strconv.Quote(value)).Replace(test.want)
			name := strings.ToUpper(strings.ReplaceAll(test.setting, "-", "_"))
			t.Run(test.setting+" "+value, func(t *testing.T) {
				checkViolation(t, []string{"--" + test.setting + "=" + value}, "--"+test.setting+want)
				path := writeIn(t, dir, "# A comment.\n"+test.setting+": "+strconv.Quote(value)+"\n")
				checkViolation(t, []string{"--config-file=" + path}, "--"+test.setting+" (file "+path+", line 2)"+want)
				t.Setenv(name, value)
				checkViolation(t, []string{"serve"}, "--"+test.setting+" (environment "+name+")"+want)
			})
		}
	}
}

func checkViolation(t *testing.T, args []string, want string) {
	t.Helper()
	var out bytes.Buffer
	_, err := config.Parse(args, "v1", &out)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error is %v\nwant %s", err, want)
	}
	if strings.Contains(err.Error(), "passw0rd") || out.Len() != 0 {
		t.Errorf("a password is in the error, or something is printed: %v, %s", err, out.String())
	}
}

// An operator must not have to start the service once for each violation.
func TestParseReportsAllViolations(t *testing.T) {
	t.Setenv("DEFAULT_TIMEOUT", "never")
	t.Setenv("LOG_LEVEL", "loud")
	_, err := config.Parse([]string{
		"--grpc-listen=a", "--http-listen=b", "--admin-listen=c", "--seam-endpoint=d", "--sandbox-listen=e", "--max-timeout=f",
		"--log-format=g", "--cors-origin=h", "--cors-origin=i", "--max-in-flight=0", "--caller-rps=NaN", "--drain-delay=-1s",
		"--drain-timeout=0s", "--max-connection-age=j", "--allowed-host=k:1",
	}, "v1", io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`--grpc-listen: "a"`, `--http-listen: "b"`, `--admin-listen: "c"`, `--seam-endpoint: `, `--sandbox-listen: "e"`,
		`--default-timeout (environment DEFAULT_TIMEOUT): "never"`, `--max-timeout: "f"`, `--max-in-flight: "0"`, `--caller-rps: "NaN"`, `--drain-delay: "-1s"`,
		`--drain-timeout: "0s"`, `--max-connection-age: "j"`, `--cors-origin: "h"`, `--cors-origin: "i"`, `--allowed-host: "k:1"`, `--log-level (environment LOG_LEVEL): "loud"`,
		`--log-format: "g"`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d does not tell of %s:\n%v", i+1, want, err)
		}
	}
	if len(lines) != 17 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestParsePrints(t *testing.T) {
	for args, wants := range map[string][]string{
		"--help":                 {"Usage: client-session-service", "--version", "sandbox"},
		"serve --help":           {"--grpc-listen", "($GRPC_LISTEN)", "--sandbox ", "($SANDBOX)", "--log-format", "($LOG_FORMAT)"},
		"sandbox --help":         {"--listen", "($SANDBOX_LISTEN)"},
		"--grpc-listen=x --help": {"Usage: "},
		"--version":              {"v1\n"},
	} {
		t.Run(args, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := config.Parse(strings.Split(args, " "), "v1", &out); !errors.Is(err, config.ErrDone) {
				t.Fatalf("error is %v", err)
			}
			for _, want := range wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in %s", want, out.String())
				}
			}
		})
	}
}

func level(l slog.Level) *slog.LevelVar {
	v := new(slog.LevelVar)
	v.Set(l)
	return v
}
