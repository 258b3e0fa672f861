package server

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// loadCAs returns the system's certificate authorities and those of the PEM file at path. The client of Seam trusts
// both: a company's proxy re-signs what goes through it, and what does not still has Seam's own certificate.
func loadCAs(path string) (*x509.CertPool, error) {
	bundle, err := os.ReadFile(path) //nolint:gosec // The path is the operator's.
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificate authorities: %w", err)
	}
	if err := addCAs(pool, bundle); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pool, nil
}

// addCAs adds the certificates of a PEM bundle to pool. It is strict where x509.CertPool.AppendCertsFromPEM passes over
// what it cannot read: a bundle that was cut off would otherwise quietly lose authorities. Text around the blocks is
// taken for comments. No error quotes the bundle, which by mistake may hold a key.
func addCAs(pool *x509.CertPool, bundle []byte) error {
	begun := bytes.Count(bundle, []byte("-----BEGIN "))
	if begun == 0 {
		return errors.New("there is no PEM certificate in it")
	}
	certificates := make([]*x509.Certificate, 0, begun)
	for number := 1; number <= begun; number++ {
		block, rest := pem.Decode(bundle)
		if block == nil {
			return errors.New("a PEM block in it is malformed or truncated")
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("PEM block %d is no certificate", number)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", number, err)
		}
		certificates = append(certificates, certificate)
		bundle = rest
	}
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return nil
}
