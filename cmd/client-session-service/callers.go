package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/server"
)

// printToken makes a bearer token for a caller and prints it with the line for the callers file.
func printToken(out io.Writer) error {
	token, digest := auth.NewToken()
	_, err := fmt.Fprintf(out, "token, for the caller:      %s\n"+
		"line, for the callers file: token_sha256: [%s]\n", token, digest)
	return err
}

// checkCallers returns every violation in a callers file.
func checkCallers(file string) error {
	content, err := os.ReadFile(file) //nolint:gosec // The path is the operator's.
	if err != nil {
		return err
	}
	authorities := func() *x509.CertPool { return nil } // The file alone does not tell whether there are any.
	return auth.NewCallers(server.RPCs(), http.DefaultClient, authorities, time.Now).Load(content)
}
