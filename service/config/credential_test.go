package config_test

import (
	"io"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

const (
	apiKey      = "seam_held1key_passw0rdpassw0rd"
	accessToken = "seam_at1held_passw0rdpassw0rd"
)

// TestCredentialRules shows with which configurations of a service credential the service starts. An error names what
// to set, so that an operator need not read the manual, and never quotes a key.
func TestCredentialRules(t *testing.T) {
	const (
		exposed   = "--callers-file: is required: the service has a service credential and listens beyond this machine"
		plaintext = "--seam-endpoint: http:// to another machine would send the service credential unencrypted"
		anyOrigin = "--cors-origin: * would let every origin use the service credential"
	)
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		// violations are the lines of the error in order, none for a valid configuration.
		violations []string
		credential bool
	}{
		"no key at all":                  {},
		"no key, listening everywhere":   {args: []string{"--grpc-listen=0.0.0.0:1", "--http-listen=:2"}},
		"key on loopback":                {env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key on loopback, IPv6 and name": {args: []string{"--grpc-listen=[::1]:1", "--http-listen=localhost:2"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key, gRPC everywhere":           {args: []string{"--grpc-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{exposed}},
		"key, REST everywhere":           {args: []string{"--http-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{exposed}},
		"key, no host":                   {args: []string{"--http-listen=:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{exposed}},
		"key, everywhere, by environment": {
			env:        map[string]string{"SEAM_API_KEY": apiKey, "GRPC_LISTEN": "0.0.0.0:1"},
			violations: []string{exposed},
		},
		"key file, everywhere":            {args: []string{"--seam-api-key-file=/k", "--grpc-listen=0.0.0.0:1"}, violations: []string{exposed}},
		"access token, everywhere":        {args: []string{"--grpc-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_PERSONAL_ACCESS_TOKEN": accessToken, "SEAM_WORKSPACE_ID": "w"}, violations: []string{exposed}},
		"key, everywhere, callers":        {args: []string{"--grpc-listen=0.0.0.0:1", "--callers-file=/c"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key, everywhere, anonymous":      {args: []string{"--grpc-listen=0.0.0.0:1", "--allow-anonymous"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key, everywhere, anonymous=no":   {args: []string{"--grpc-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_API_KEY": apiKey, "ALLOW_ANONYMOUS": "false"}, violations: []string{exposed}},
		"an admin listener is not a face": {args: []string{"--admin-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"anonymous and callers":           {args: []string{"--allow-anonymous", "--callers-file=/c"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{"--allow-anonymous: contradicts --callers-file"}},
		"callers without a key":           {args: []string{"--callers-file=/c"}, violations: []string{"--callers-file: needs a service credential: set SEAM_API_KEY or --seam-api-key-file too"}},
		"key and key file": {
			args: []string{"--seam-api-key-file=/k"}, env: map[string]string{"SEAM_API_KEY": apiKey},
			violations: []string{"--seam-api-key-file and SEAM_API_KEY: set only one of them"},
		},
		"key and access token": {
			env:        map[string]string{"SEAM_API_KEY": apiKey, "SEAM_PERSONAL_ACCESS_TOKEN": accessToken, "SEAM_WORKSPACE_ID": "w"},
			violations: []string{"SEAM_API_KEY and SEAM_PERSONAL_ACCESS_TOKEN: set only one of them"},
		},
		"access token":                                   {env: map[string]string{"SEAM_PERSONAL_ACCESS_TOKEN": accessToken, "SEAM_WORKSPACE_ID": "w"}, credential: true},
		"workspace alone":                                {args: []string{"--seam-workspace-id=w"}, violations: []string{"--seam-workspace-id: is for a personal access token: set SEAM_PERSONAL_ACCESS_TOKEN too"}},
		"workspace of a key":                             {args: []string{"--seam-workspace-id=w"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{"--seam-workspace-id: is for a personal access token"}},
		"empty key":                                      {env: map[string]string{"SEAM_API_KEY": ""}, violations: []string{"SEAM_API_KEY: is empty: give it a value, or leave it out"}},
		"empty access token":                             {env: map[string]string{"SEAM_PERSONAL_ACCESS_TOKEN": ""}, violations: []string{"SEAM_PERSONAL_ACCESS_TOKEN: is empty"}},
		"empty key beside a key file":                    {args: []string{"--seam-api-key-file=/k"}, env: map[string]string{"SEAM_API_KEY": ""}, violations: []string{"SEAM_API_KEY: is empty"}},
		"anonymous without a key":                        {args: []string{"--allow-anonymous"}, violations: []string{"--allow-anonymous: needs a service credential: set SEAM_API_KEY"}},
		"anonymous sandbox":                              {args: []string{"--allow-anonymous", "--sandbox"}},
		"sandbox ignores a key":                          {args: []string{"--sandbox", "--grpc-listen=0.0.0.0:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}},
		"a key is no flag":                               {args: []string{"--seam-api-key=" + apiKey}, violations: []string{"--seam-api-key: is not a flag, which every user of the machine could read: set SEAM_API_KEY"}},
		"an access token is no flag":                     {args: []string{"--seam-personal-access-token", accessToken}, violations: []string{"--seam-personal-access-token: is not a flag"}},
		"every violation at once":                        {args: []string{"--grpc-listen=0.0.0.0:1", "--tls-min-version=1.1", "--trusted-proxy=x"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{"--tls-min-version: ", "--trusted-proxy: ", exposed}},
		"key over plaintext":                             {args: []string{"--seam-endpoint=http://seam.example"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{plaintext}},
		"access token over plaintext":                    {args: []string{"--seam-endpoint=http://[2001:db8::1]"}, env: map[string]string{"SEAM_PERSONAL_ACCESS_TOKEN": accessToken, "SEAM_WORKSPACE_ID": "w"}, violations: []string{plaintext}},
		"key over plaintext, allowed":                    {args: []string{"--seam-endpoint=http://seam.example", "--allow-plaintext-upstream"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key over plaintext, not allowed by environment": {args: []string{"--seam-endpoint=http://seam.example"}, env: map[string]string{"SEAM_API_KEY": apiKey, "ALLOW_PLAINTEXT_UPSTREAM": "false"}, violations: []string{plaintext}},
		"key over plaintext on loopback":                 {args: []string{"--seam-endpoint=http://127.9.9.9:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key over TLS":                                   {args: []string{"--seam-endpoint=https://seam.example"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"key to no URL at all":                           {args: []string{"--seam-endpoint=http://seam.example:x"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{"--seam-endpoint: is not a URL"}},
		"no key over plaintext":                          {args: []string{"--seam-endpoint=http://seam.example"}},
		"key over plaintext and exposed":                 {args: []string{"--seam-endpoint=http://seam.example", "--grpc-listen=:1"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{exposed, plaintext}},
		"key for every page":                             {args: []string{"--cors-origin=*"}, env: map[string]string{"SEAM_API_KEY": apiKey}, violations: []string{anyOrigin}},
		"key for one page and every other":               {args: []string{"--cors-origin=https://a.example", "--cors-origin=*", "--seam-api-key-file=/k"}, violations: []string{anyOrigin}},
		"key for every page, with callers":               {args: []string{"--callers-file=/c"}, env: map[string]string{"SEAM_API_KEY": apiKey, "CORS_ORIGIN": "*"}, violations: []string{"--cors-origin (environment CORS_ORIGIN): * would let every origin"}},
		"key for one page":                               {args: []string{"--cors-origin=https://a.example"}, env: map[string]string{"SEAM_API_KEY": apiKey}, credential: true},
		"no key, every page":                             {args: []string{"--cors-origin=*"}},
		"sandbox for every page":                         {args: []string{"--cors-origin=*", "--sandbox"}, env: map[string]string{"SEAM_API_KEY": apiKey}},
		"certificate without its key":                    {args: []string{"--tls-cert-file=/c"}, violations: []string{"--tls-cert-file: and --tls-key-file go together"}},
		"key without its certificate":                    {args: []string{"--tls-key-file=/k"}, violations: []string{"--tls-cert-file: and --tls-key-file go together"}},
		"callers' authorities alone":                     {args: []string{"--tls-client-ca-file=/a"}, violations: []string{"--tls-client-ca-file: needs --tls-cert-file and --tls-key-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			got, err := config.Parse(test.args, "v1", io.Discard)
			if err != nil && strings.Contains(err.Error(), "passw0rd") {
				t.Errorf("the error quotes a key: %v", err)
			}
			if len(test.violations) == 0 {
				if err != nil || got.HasServiceCredential() != test.credential {
					t.Errorf("service credential: %t, error %v", got.HasServiceCredential(), err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.violations) {
				t.Errorf("%d violations, want %d: %v", len(lines), len(test.violations), err)
			}
			for i, want := range test.violations {
				if i < len(lines) && !strings.HasPrefix(lines[i], want) {
					t.Errorf("violation is %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// TestSandboxTakesNoKey shows that a real key from the environment is not part of the configuration of a service that
// calls the sandbox, which needs no credential.
func TestSandboxTakesNoKey(t *testing.T) {
	t.Setenv("SEAM_API_KEY", apiKey)
	t.Setenv("SEAM_PERSONAL_ACCESS_TOKEN", accessToken)
	t.Setenv("SEAM_WORKSPACE_ID", "w")
	got, err := config.Parse([]string{"--sandbox", "--seam-api-key-file=/k"}, "v1", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got.HasServiceCredential() || got.SeamAPIKey+got.SeamAPIKeyFile+got.SeamPersonalAccessToken+got.SeamWorkspaceID != "" {
		t.Errorf("the sandbox gets %+v", got)
	}
}
