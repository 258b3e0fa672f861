package auth

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AllRPCs in a caller's list of RPCs allows every RPC.
const AllRPCs = "*"

// file is the callers file: YAML, or JSON, which YAML contains.
type file struct {
	Callers []caller `yaml:"callers"`
}

// caller is one caller in the file: its name, its proofs and what it may call.
type caller struct {
	// Name is what the log calls the caller.
	Name string `yaml:"name"`
	// TokenSHA256 has the SHA-256 of each of its bearer tokens, in hex: two during a rotation.
	TokenSHA256 []string `yaml:"token_sha256"`
	// SPIFFEID and DNSName are names in its client certificate.
	SPIFFEID string `yaml:"spiffe_id"`
	DNSName  string `yaml:"dns_name"`
	// JWT says which tokens of an issuer are its own.
	JWT *jwtRule `yaml:"jwt"`
	// RPCs are the methods it may call, by their short names, or AllRPCs.
	RPCs []string `yaml:"rpcs"`
}

func (c *caller) allows(rpc string) bool {
	return slices.Contains(c.RPCs, AllRPCs) || slices.Contains(c.RPCs, rpc)
}

// callerSet is the callers of a callers file.
type callerSet struct {
	// count is how many callers there are.
	count  int
	tokens []tokenEntry
	spiffe map[string]*caller
	dns    map[string]*caller
	// jwts are the rules for the tokens of an issuer, by the issuer's URL.
	jwts map[string]*jwtRules
	// passed and failed cache verified tokens. They are two, so that invalid tokens evict no valid ones.
	passed, failed *callerCache
}

type tokenEntry struct {
	digest [sha256.Size]byte
	caller *caller
}

// What the decoder says of a member that there is not, and of a value of another type.
var (
	unknownMember = regexp.MustCompile(`field (.+) not found in type auth\.(\w+)`)
	wrongType     = regexp.MustCompile("cannot unmarshal !!(\\w+)(?: `.*`)? into (\\S+)")
)

// describeTypeError replaces the types of Go by the words of the file, and names the members that there are.
func describeTypeError(text string) string {
	if found := unknownMember.FindStringSubmatch(text); found != nil {
		of := map[string]reflect.Type{
			"file": reflect.TypeFor[file](), "caller": reflect.TypeFor[caller](), "jwtRule": reflect.TypeFor[jwtRule](),
		}[found[2]]
		names := make([]string, of.NumField())
		for i := range names {
			names[i] = of.Field(i).Tag.Get("yaml")
		}
		return strings.ReplaceAll(text, found[0], fmt.Sprintf("%q is none of %s", found[1], strings.Join(names, ", ")))
	}
	if found := wrongType.FindStringSubmatch(text); found != nil {
		has := cmp.Or(map[string]string{"seq": "a list", "map": "a mapping"}[found[1]], "a single value")
		wants := "a mapping of members to values"
		if found[2] == "string" {
			wants = "a single value"
		} else if strings.HasPrefix(found[2], "[]") {
			wants = "a list"
		}
		return strings.ReplaceAll(text, found[0], "there is "+has+" where "+wants+" is needed")
	}
	return text
}

// parse reads a callers file. Its error has every violation.
func (c *Callers) parse(content []byte) (*callerSet, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true) // A misspelt restriction must not be dropped.
	var read file
	var violations []error
	if err := decoder.Decode(&read); err != nil && !errors.Is(err, io.EOF) {
		lines := []string{err.Error()}
		typeErrors, ok := errors.AsType[*yaml.TypeError](err)
		if ok {
			lines = typeErrors.Errors
		}
		for _, line := range lines {
			text := secretLike.ReplaceAllString(describeTypeError(line), "(not quoted)")
			violations = append(violations, errors.New("not a callers file: "+text))
		}
		if !ok || len(read.Callers) == 0 {
			return nil, errors.Join(violations...)
		}
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a callers file: it has more than one document")
	}
	if len(read.Callers) == 0 {
		return nil, errors.New("no callers: the file has to have at least one")
	}
	s := &callerSet{
		count:  len(read.Callers),
		spiffe: map[string]*caller{}, dns: map[string]*caller{}, jwts: map[string]*jwtRules{},
		passed: newCache[[sha256.Size]byte, cachedCaller](maxCachedCallers),
		failed: newCache[[sha256.Size]byte, cachedCaller](maxCachedCallers),
	}
	names := map[string]bool{}
	for i := range read.Callers {
		entry := &read.Callers[i]
		report := func(format string, values ...any) {
			text := fmt.Sprintf("callers[%d] %q: ", i, entry.Name) + fmt.Sprintf(format, values...)
			violations = append(violations, errors.New(secretLike.ReplaceAllString(text, "(not quoted)")))
		}
		if !callerName.MatchString(entry.Name) || names[entry.Name] {
			report("name: needs one of its own, of letters, digits and any of . _ - /")
		}
		names[entry.Name] = true
		for _, rpc := range entry.RPCs {
			if rpc != AllRPCs && !slices.Contains(c.rpcs, rpc) {
				report("rpcs: %q is none of %s, %s", rpc, strings.Join(c.rpcs, ", "), AllRPCs)
			}
		}
		if len(entry.RPCs) == 0 {
			report("rpcs: name the RPCs that it may call, or %q", AllRPCs)
		}
		for _, err := range s.add(entry, c) {
			report("%v", err)
		}
	}
	if err := errors.Join(violations...); err != nil {
		return nil, err
	}
	return s, nil
}

// secretLike matches tokens, which an operator may have put in the wrong place of the file.
var secretLike = regexp.MustCompile(`(css_|seam_|ey)[^\s"\x60]*`)

var callerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$`)

// add adds a caller under each of its proofs.
func (s *callerSet) add(c *caller, to *Callers) []error {
	var violations []error
	proofs := 0
	for _, text := range c.TokenSHA256 {
		proofs++
		digest, err := hex.DecodeString(text)
		if err != nil || len(digest) != sha256.Size {
			// It is not quoted: an operator may have put the token itself there.
			violations = append(violations, errors.New("token_sha256: needs 64 hex digits, the SHA-256 of a token"))
			continue
		}
		entry := tokenEntry{digest: [sha256.Size]byte(digest), caller: c}
		if slices.ContainsFunc(s.tokens, func(t tokenEntry) bool { return t.digest == entry.digest }) {
			violations = append(violations, errors.New("token_sha256: is a duplicate"))
		}
		s.tokens = append(s.tokens, entry)
	}
	for _, certificate := range []struct {
		field, name string
		callers     map[string]*caller
		valid       bool
	}{
		{"spiffe_id", c.SPIFFEID, s.spiffe, strings.HasPrefix(c.SPIFFEID, "spiffe://")},
		{"dns_name", c.DNSName, s.dns, !strings.ContainsAny(c.DNSName, "*:/ ")},
	} {
		if certificate.name == "" {
			continue
		}
		proofs++
		if !certificate.valid || certificate.callers[certificate.name] != nil {
			violations = append(violations, fmt.Errorf("%s: needs a whole name that no other caller has", certificate.field))
		}
		certificate.callers[certificate.name] = c
		if to.chains == nil {
			violations = append(violations, fmt.Errorf("%s: needs --tls-client-ca-file: no client certificate is accepted "+
				"without it", certificate.field))
		}
	}
	if c.JWT != nil {
		proofs++
		violations = append(violations, s.addJWT(c, to.issuers)...)
	}
	if proofs == 0 {
		violations = append(violations, errors.New("needs token_sha256, spiffe_id, dns_name or jwt for authentication"))
	}
	return violations
}
