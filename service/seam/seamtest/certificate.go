package seamtest

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
)

// serverCertificate is the one that all servers of httptest have, and all upstreams here.
var serverCertificate = sync.OnceValue(func() tls.Certificate {
	server := httptest.NewTLSServer(nil)
	server.Close()
	return server.TLS.Certificates[0]
})

// TrustFile writes the certificate of the upstreams, and of httptest's servers, to a file in the folder.
func TrustFile(folder string) (string, error) {
	path := filepath.Join(folder, "roots.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: serverCertificate().Certificate[0]}
	return path, os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
