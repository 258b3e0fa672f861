package server

import (
	"fmt"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// readContract returns the contract's JSON codec and its rules, both built at the start of the service. So an error in
// the contract stops the start, and no call waits for it.
func readContract() (*seamjson.Codec, call.Rules, error) {
	file := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	codec, err := seamjson.New(file, clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		return nil, call.Rules{}, fmt.Errorf("read the contract: %w", err)
	}
	rules, err := call.NewRules(file.Messages())
	if err != nil {
		return nil, call.Rules{}, fmt.Errorf("compile the rules of the contract: %w", err)
	}
	return codec, rules, nil
}
