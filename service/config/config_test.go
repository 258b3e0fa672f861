package config_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/url"
	"os"
	"reflect"
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
		MaxInFlight:   1024, MaxResponseMiB: 8, DrainDelay: 5 * time.Second, DrainTimeout: 20 * time.Second, MaxConnectionAge: 5 * time.Minute,
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
				"--sandbox", "--sandbox-listen=localhost:0", "--default-timeout=1m30s", "--max-timeout=500ms", "--log-level=debug",
				"--log-format=text", "--cors-origin=https://a.example", "--cors-origin=http://localhost:3000", "--max-in-flight=64",
				"--caller-rps=2.5", "--drain-delay=1s", "--drain-timeout=2s", "--max-connection-age=1h", "--reflection=off", "--max-response-mib=64",
				"--allowed-host=sessions.example.com", "--allowed-host=Sessions", "--allowed-host=10.1.2.3", "--pprof",
			},
			nil,
			func(c *config.Config) {
				c.GRPCListen, c.HTTPListen, c.AdminListen = ":1", "0.0.0.0:2", "[::1]:3"
				c.SeamEndpoint = &url.URL{Scheme: "http", Host: "localhost:4", Path: "/seam/"}
				c.Sandbox, c.SandboxListen = true, "localhost:0"
				c.DefaultTimeout, c.MaxTimeout = 90*time.Second, 500*time.Millisecond
				c.LogLevel, c.LogFormat = level(slog.LevelDebug), "text"
				c.CORSOrigins = []string{"https://a.example", "http://localhost:3000"}
				c.AllowedHosts = []string{"sessions.example.com", "sessions", "10.1.2.3"}
				c.Pprof = true
				c.MaxInFlight, c.CallerRPS = 64, 2.5
				c.DrainDelay, c.DrainTimeout, c.MaxConnectionAge = time.Second, 2*time.Second, time.Hour
				c.Reflection, c.MaxResponseMiB = config.ReflectionOff, 64
			},
		},
		"environment": {
			nil,
			map[string]string{
				"GRPC_LISTEN": ":1", "HTTP_LISTEN": ":2", "ADMIN_LISTEN": ":3", "SEAM_ENDPOINT": "https://seam.example",
				"SANDBOX": "true", "SANDBOX_LISTEN": ":4", "DEFAULT_TIMEOUT": "1s", "MAX_TIMEOUT": "2s", "LOG_LEVEL": "error",
				"LOG_FORMAT": "text", "CORS_ORIGIN": "https://a.example,*", "MAX_IN_FLIGHT": "8", "CALLER_RPS": "100",
				"DRAIN_DELAY": "3s", "DRAIN_TIMEOUT": "4s", "MAX_CONNECTION_AGE": "6s",
				"ALLOWED_HOST": "a.example,b_c", "PPROF": "1",
			},
			func(c *config.Config) {
				c.GRPCListen, c.HTTPListen, c.AdminListen = ":1", ":2", ":3"
				c.SeamEndpoint = &url.URL{Scheme: "https", Host: "seam.example"}
				c.Sandbox, c.SandboxListen = true, ":4"
				c.DefaultTimeout, c.MaxTimeout = time.Second, 2*time.Second
				c.LogLevel, c.LogFormat = level(slog.LevelError), "text"
				c.CORSOrigins = []string{"https://a.example", "*"}
				c.AllowedHosts = []string{"a.example", "b_c"}
				c.Pprof = true
				c.MaxInFlight, c.CallerRPS = 8, 100
				c.DrainDelay, c.DrainTimeout, c.MaxConnectionAge = 3*time.Second, 4*time.Second, 6*time.Second
			},
		},
		"a flag wins over the environment": {
			[]string{"--grpc-listen=:1", "--log-level=warn"},
			map[string]string{"GRPC_LISTEN": ":2", "LOG_LEVEL": "error"},
			func(c *config.Config) { c.GRPCListen, c.LogLevel = ":1", level(slog.LevelWarn) },
		},
		"a valid flag overrides an invalid variable": {
			[]string{"--max-timeout=1s"},
			map[string]string{"MAX_TIMEOUT": "soon"},
			func(c *config.Config) { c.MaxTimeout = time.Second },
		},
		"least load": {
			[]string{"--max-in-flight=1", "--caller-rps=0.001", "--drain-delay=0s", "--drain-timeout=1ns", "--max-connection-age=1ms"},
			nil,
			func(c *config.Config) {
				c.MaxInFlight, c.CallerRPS = 1, 0.001
				c.DrainDelay, c.DrainTimeout, c.MaxConnectionAge = 0, 1, time.Millisecond
			},
		},
		"most load": {
			[]string{"--max-in-flight=1048575", "--caller-rps=1e6"},
			nil,
			func(c *config.Config) { c.MaxInFlight, c.CallerRPS = 1048575, 1e6 },
		},
		"any number of calls a caller": {
			[]string{"--caller-rps=0"},
			map[string]string{"CALLER_RPS": "5"},
			func(c *config.Config) { c.CallerRPS = 0 },
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
			if !reflect.DeepEqual(got, want) {
				t.Errorf("config is %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestParseViolations(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no port":                  {[]string{"--grpc-listen=localhost"}, "--grpc-listen: \"localhost\" is not an address"},
		"port alone":               {[]string{"--http-listen=8080"}, "--http-listen: \"8080\" is not an address"},
		"port too high":            {[]string{"--http-listen=:65536"}, "--http-listen: \":65536\" is not an address"},
		"named port":               {[]string{"--admin-listen=:http"}, "--admin-listen: \":http\" is not an address"},
		"empty port":               {[]string{"--admin-listen=127.0.0.1:"}, "--admin-listen: \"127.0.0.1:\" is not an address"},
		"host name":                {[]string{"--grpc-listen=example.com:1"}, "--grpc-listen: \"example.com:1\" is not an address"},
		"URL":                      {[]string{"--grpc-listen=http://127.0.0.1:1"}, "--grpc-listen: \"http://127.0.0.1:1\" is not an address"},
		"IPv6 unbracketed":         {[]string{"--grpc-listen=::1:1"}, "--grpc-listen: \"::1:1\" is not an address"},
		"sandbox address":          {[]string{"--sandbox-listen=x"}, "--sandbox-listen: \"x\" is not an address"},
		"no scheme":                {[]string{"--seam-endpoint=connect.getseam.com"}, "--seam-endpoint: needs http:// or https:// and a host"},
		"other scheme":             {[]string{"--seam-endpoint=ftp://seam.example"}, "--seam-endpoint: needs http:// or https:// and a host"},
		"no host":                  {[]string{"--seam-endpoint=https:///x"}, "--seam-endpoint: needs http:// or https:// and a host"},
		"port without host":        {[]string{"--seam-endpoint=https://:1"}, "--seam-endpoint: needs http:// or https:// and a host"},
		"user":                     {[]string{"--seam-endpoint=https://u:passw0rd@seam.example"}, "--seam-endpoint: must have no user, no query and no fragment"},
		"query":                    {[]string{"--seam-endpoint=https://seam.example?key=passw0rd"}, "--seam-endpoint: must have no user, no query and no fragment"},
		"fragment":                 {[]string{"--seam-endpoint=https://seam.example#x"}, "--seam-endpoint: must have no user, no query and no fragment"},
		"invalid URL":              {[]string{"--seam-endpoint=https://u:passw0rd@seam.example:x"}, "--seam-endpoint: is not a URL"},
		"timeout of zero":          {[]string{"--default-timeout=0s"}, "--default-timeout: \"0s\" is not a time above zero"},
		"negative timeout":         {[]string{"--max-timeout=-1s"}, "--max-timeout: \"-1s\" is not a time above zero"},
		"timeout, no unit":         {[]string{"--max-timeout=30"}, "--max-timeout: \"30\" is not a time above zero"},
		"response of nothing":      {[]string{"--max-response-mib=0"}, "--max-response-mib: \"0\" is not a number from 1 to 1024"},
		"response too long":        {[]string{"--max-response-mib=1025"}, "--max-response-mib: \"1025\" is not a number from 1 to 1024"},
		"response with a unit":     {[]string{"--max-response-mib=8MiB"}, "--max-response-mib: \"8MiB\" is not a number from 1 to 1024"},
		"reflection":               {[]string{"--reflection=maybe"}, "--reflection: \"maybe\" is none of auto, on, off"},
		"level":                    {[]string{"--log-level=loud"}, "--log-level: \"loud\" is none of debug, info, warn, error"},
		"format":                   {[]string{"--log-format=xml"}, "--log-format: \"xml\" is neither json nor text"},
		"origin with a path":       {[]string{"--cors-origin=https://a.example/"}, "--cors-origin: \"https://a.example/\" is not an origin"},
		"origin as a host":         {[]string{"--cors-origin=a.example"}, "--cors-origin: \"a.example\" is not an origin"},
		"origin, second one":       {[]string{"--cors-origin=*", "--cors-origin=null"}, "--cors-origin: \"null\" is not an origin"},
		"origin with a wildcard":   {[]string{"--cors-origin=https://*.example.com"}, "--cors-origin: \"https://*.example.com\" is not an origin"},
		"origin with a wild port":  {[]string{"--cors-origin=https://a.example:*"}, "--cors-origin: \"https://a.example:*\" is not an origin"},
		"origin of a wildcard":     {[]string{"--cors-origin=https://*"}, "--cors-origin: \"https://*\" is not an origin"},
		"two wildcards":            {[]string{"--cors-origin=**"}, "--cors-origin: \"**\" is not an origin"},
		"host with a port":         {[]string{"--allowed-host=a.example:80"}, "--allowed-host: \"a.example:80\" is not a host name"},
		"host as a URL":            {[]string{"--allowed-host=http://a.example"}, "--allowed-host: \"http://a.example\" is not a host name"},
		"host with a wildcard":     {[]string{"--allowed-host=*.example.com"}, "--allowed-host: \"*.example.com\" is not a host name"},
		"any host":                 {[]string{"--allowed-host=*"}, "--allowed-host: \"*\" is not a host name"},
		"host with a last dot":     {[]string{"--allowed-host=a.example."}, "--allowed-host: \"a.example.\" is not a host name"},
		"no calls":                 {[]string{"--max-in-flight=0"}, "--max-in-flight: \"0\" is not a number from 1 to 1048575"},
		"calls below zero":         {[]string{"--max-in-flight=-1"}, "--max-in-flight: \"-1\" is not a number from 1 to 1048575"},
		"calls in words":           {[]string{"--max-in-flight=many"}, "--max-in-flight: \"many\" is not a number from 1 to 1048575"},
		"too many calls":           {[]string{"--max-in-flight=1048576"}, "--max-in-flight: \"1048576\" is not a number from 1 to 1048575"},
		"calls beyond any integer": {[]string{"--max-in-flight=99999999999999999999"}, "--max-in-flight: \"99999999999999999999\" is not a number from 1 to 1048575"},
		"half a call":              {[]string{"--max-in-flight=1.5"}, "--max-in-flight: \"1.5\" is not a number from 1 to 1048575"},
		"calls in hexadecimal":     {[]string{"--max-in-flight=0x10"}, "--max-in-flight: \"0x10\" is not a number from 1 to 1048575"},
		"calls left empty":         {[]string{"--max-in-flight="}, "--max-in-flight: \"\" is not a number from 1 to 1048575"},
		"rate of NaN":              {[]string{"--caller-rps=NaN"}, "--caller-rps: \"NaN\" is not a number from 0 to 1000000"},
		"rate of Inf":              {[]string{"--caller-rps=Inf"}, "--caller-rps: \"Inf\" is not a number from 0 to 1000000"},
		"rate of -Inf":             {[]string{"--caller-rps=-Inf"}, "--caller-rps: \"-Inf\" is not a number from 0 to 1000000"},
		"rate below zero":          {[]string{"--caller-rps=-1"}, "--caller-rps: \"-1\" is not a number from 0 to 1000000"},
		"rate just below 0":        {[]string{"--caller-rps=-0.001"}, "--caller-rps: \"-0.001\" is not a number from 0 to 1000000"},
		"rate in words":            {[]string{"--caller-rps=fast"}, "--caller-rps: \"fast\" is not a number from 0 to 1000000"},
		"rate with a unit":         {[]string{"--caller-rps=5/s"}, "--caller-rps: \"5/s\" is not a number from 0 to 1000000"},
		"rate too high":            {[]string{"--caller-rps=1000001"}, "--caller-rps: \"1000001\" is not a number from 0 to 1000000"},
		"rate beyond any float":    {[]string{"--caller-rps=1e999"}, "--caller-rps: \"1e999\" is not a number from 0 to 1000000"},
		"rate left empty":          {[]string{"--caller-rps="}, "--caller-rps: \"\" is not a number from 0 to 1000000"},
		"negative delay":           {[]string{"--drain-delay=-1s"}, "--drain-delay: \"-1s\" is not a time, such as 5s or 0s"},
		"delay, no unit":           {[]string{"--drain-delay=5"}, "--drain-delay: \"5\" is not a time, such as 5s or 0s"},
		"delay in words":           {[]string{"--drain-delay=later"}, "--drain-delay: \"later\" is not a time, such as 5s or 0s"},
		"delay left empty":         {[]string{"--drain-delay="}, "--drain-delay: \"\" is not a time, such as 5s or 0s"},
		"drain of zero":            {[]string{"--drain-timeout=0s"}, "--drain-timeout: \"0s\" is not a time above zero"},
		"negative drain":           {[]string{"--drain-timeout=-1s"}, "--drain-timeout: \"-1s\" is not a time above zero"},
		"drain, no unit":           {[]string{"--drain-timeout=20"}, "--drain-timeout: \"20\" is not a time above zero"},
		"drain in words":           {[]string{"--drain-timeout=forever"}, "--drain-timeout: \"forever\" is not a time above zero"},
		"drain left empty":         {[]string{"--drain-timeout="}, "--drain-timeout: \"\" is not a time above zero"},
		"age of zero":              {[]string{"--max-connection-age=0s"}, "--max-connection-age: \"0s\" is not a time above zero"},
		"negative age":             {[]string{"--max-connection-age=-1s"}, "--max-connection-age: \"-1s\" is not a time above zero"},
		"age, no unit":             {[]string{"--max-connection-age=20"}, "--max-connection-age: \"20\" is not a time above zero"},
		"age in words":             {[]string{"--max-connection-age=forever"}, "--max-connection-age: \"forever\" is not a time above zero"},
		"age left empty":           {[]string{"--max-connection-age="}, "--max-connection-age: \"\" is not a time above zero"},
		"unknown flag":             {[]string{"--nope"}, "unknown flag --nope"},
		"unknown command":          {[]string{"nope"}, "unexpected argument nope"},
		"no value":                 {[]string{"--grpc-listen"}, "--grpc-listen"},
		"not a boolean":            {[]string{"--sandbox=perhaps"}, "--sandbox: \"perhaps\" is neither true nor false"},
		"sandbox's address":        {[]string{"sandbox", "--listen=x"}, "--listen: \"x\" is not an address"},
		"sandbox's level":          {[]string{"sandbox", "--log-level=loud"}, "--log-level: \"loud\""},
		"flag of another":          {[]string{"sandbox", "--grpc-listen=:1"}, "unknown flag --grpc-listen"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := config.Parse(test.args, "v1", &out)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v\nwant %s", err, test.want)
			}
			if strings.Contains(err.Error(), "passw0rd") {
				t.Errorf("the error quotes a password: %v", err)
			}
			if out.Len() != 0 {
				t.Errorf("printed: %s", out.String())
			}
		})
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
		`--default-timeout: "never"`, `--max-timeout: "f"`, `--max-in-flight: "0"`, `--caller-rps: "NaN"`, `--drain-delay: "-1s"`,
		`--drain-timeout: "0s"`, `--max-connection-age: "j"`, `--cors-origin: "h"`, `--cors-origin: "i"`, `--allowed-host: "k:1"`, `--log-level: "loud"`,
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

func level(l slog.Level) *slog.LevelVar {
	v := new(slog.LevelVar)
	v.Set(l)
	return v
}
