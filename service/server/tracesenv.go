package server

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// checkTraceVariables checks OpenTelemetry's variables for the export of spans. The exporters replace an invalid value
// by a default without a word, and so send spans to another address, or none. No error quotes a value: an address may
// have a credential.
func checkTraceVariables() error {
	var errs []error
	// check checks the variable for traces or, where that is not set, the one for all signals.
	check := func(name, want string, isValid func(value string) bool) {
		name = cmp.Or(setVariable("OTEL_EXPORTER_OTLP_TRACES_"+name), setVariable("OTEL_EXPORTER_OTLP_"+name))
		if name != "" && !isValid(os.Getenv(name)) {
			errs = append(errs, fmt.Errorf("%s: %s", name, want))
		}
	}
	check("ENDPOINT", "it has to be a URL such as https://collector:4318", isEndpoint)
	check("TIMEOUT", "it has to be a number of milliseconds", isNumber)
	check("COMPRESSION", "it has to be gzip or none", func(value string) bool {
		return value == "gzip" || value == "none"
	})
	check("CERTIFICATE", "the file has no certificate in PEM that can be read", func(path string) bool {
		content, err := os.ReadFile(path) //nolint:gosec // The path is the operator's.
		return err == nil && x509.NewCertPool().AppendCertsFromPEM(content)
	})
	check("CLIENT_CERTIFICATE", "the file and that of the key are no pair in PEM that can be read", isPair)
	if sampler := os.Getenv("OTEL_TRACES_SAMPLER"); sampler != "" && !slices.Contains([]string{
		"always_on", "always_off", "traceidratio",
		"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
	}, sampler) {
		errs = append(errs, errors.New("OTEL_TRACES_SAMPLER: there is no such sampler"))
	}
	if argument := os.Getenv("OTEL_TRACES_SAMPLER_ARG"); argument != "" {
		if ratio, err := strconv.ParseFloat(argument, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			errs = append(errs, errors.New("OTEL_TRACES_SAMPLER_ARG: it has to be a number from 0 to 1"))
		}
	}
	return errors.Join(errs...)
}

// setVariable returns the name of a variable that is set, and nothing for another.
func setVariable(name string) string {
	if os.Getenv(name) == "" {
		return ""
	}
	return name
}

func isEndpoint(value string) bool {
	address, err := url.Parse(value)
	return err == nil && (address.Scheme == "http" || address.Scheme == "https") && address.Hostname() != ""
}

func isNumber(value string) bool {
	_, err := strconv.ParseUint(value, 10, 31)
	return err == nil
}

// isPair reports whether a certificate file and that of its key are a pair. The key has the variable beside.
func isPair(certificate string) bool {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if os.Getenv(prefix+"CLIENT_CERTIFICATE") != "" {
			_, err := tls.LoadX509KeyPair(certificate, strings.TrimSpace(os.Getenv(prefix+"CLIENT_KEY")))
			return err == nil
		}
	}
	return false
}
